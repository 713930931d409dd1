import { attr, cast, rawOp, type TypedArray, tf, type Variable } from '@graft/tf-graph';
import type { TensorSource } from '../files.ts';
import { factorType, graphTarget, roundsInputs, usesKernels, widensProducts } from '../nn/computation.ts';
import { type FrozenWeight, type MatrixRows, matrixRows, type WeightSlice } from '../nn/weight.ts';
import { elementCount, readRows } from '../tensors/tensor-source.ts';
import { partsOf, SLICE_BYTES, type StoredPart } from './base-storage.ts';
import { dynamicMap } from './quantise/dynamic-map.ts';
import { quantiseColumns, quantiseRows, raiseMaxima, toScales } from './quantise/int8.ts';
import { BLOCK, GROUP, Nf4Quantiser, nf4Layout, nf4Sizes } from './quantise/nf4.ts';

/** How a frozen weight is stored in a program: its variables, how they are filled, and how a layer reads the weight. */
export interface WeightForm {
  parts: StoredPart[];
  /** Writes the values of the parts, in order, from the base model's tensor `name`. Each array has the type of its part, and zeros. */
  write(tensors: TensorSource, name: string, values: TypedArray[]): Promise<void>;
  /** The weight, read from the parts' variables. `nf4Table` is the program's look-up table. */
  weight(variables: Variable[], nf4Table: Variable | null): FrozenWeight;
}

/** Without quantisation: float32, or bfloat16, which a layer converts to float32 or multiplies directly. */
export function plainForm(shape: number[], dtype: 'float32' | 'bfloat16'): WeightForm {
  return {
    parts: partsOf({ shape, storage: dtype, transposed: false }),
    write: (tensors, name, [values]) => readInto(values as PlainValues, tensors, name),
    weight: ([variable]) => ({
      kind: 'frozen',
      shape,
      read: (...after) => variable!.read({ after, stored: true }),
      gather: (ids) => variable!.gather(ids),
      ...(dtype === 'bfloat16' &&
        shape.length === 2 && {
          rowProduct: (x) => storedProduct.bfloat16(x, variable!.read({ after: [x], stored: true })),
        }),
      get slices() {
        if (shape.length !== 2 || !widensProducts()) return undefined;
        const [rows, columns] = shape as [number, number];
        return slicesOf(rows, columns, (start, count, after) =>
          tf.slice(variable!.read({ after, stored: true }), [start, 0], [count, columns]),
        );
      },
    }),
  };
}

/** Stacks matrices `(out, in)` with the same input along their rows. Each member reads its own rows. */
export function stackedForm(shapes: number[][], dtype: 'float32' | 'bfloat16') {
  const width = shapes[0]![1]!;
  const rows = shapes.reduce((sum, [own]) => sum + own!, 0);
  const form = plainForm([rows, width], dtype);
  return {
    parts: form.parts,
    async write(tensors: TensorSource, names: string[], [values]: TypedArray[]): Promise<void> {
      let at = 0;
      for (const [i, name] of names.entries()) {
        const end = at + elementCount(shapes[i]!);
        await readInto(values!.subarray(at, end) as PlainValues, tensors, name);
        at = end;
      }
    },
    weights(variables: Variable[]): FrozenWeight[] {
      const whole = form.weight(variables, null);
      let next = 0;
      return shapes.map((shape) => {
        const row = next;
        next += shape[0]!;
        return {
          kind: 'frozen',
          shape,
          stack: whole,
          read: (...after) => tf.slice(whole.read(...after), [row, 0], [shape[0]!, width]),
          gather: (ids) => whole.gather(tf.add(ids, tf.scalar(row, 'int32'))),
        };
      });
    },
  };
}

type PlainValues = Float32Array | Uint16Array;

/** Throws if a source returns another array than the one passed to it: otherwise `values` would silently stay zeros. */
async function readInto(values: PlainValues, tensors: TensorSource, name: string): Promise<void> {
  const read =
    values instanceof Float32Array
      ? await tensors.readFloat32(name, values)
      : await tensors.readBfloat16(name, values);
  if (read !== values) throw new Error(`"${name}" was not read into the array that was given`);
}

/**
 * Signed bytes, with one scale for each output of a linear matrix (`(out, in)` or `(in, out)`), of each expert's matrix (`(E, out, in)`), or
 * each row of an embedding table.
 */
export function int8Form(shape: number[], transposed: boolean): WeightForm {
  const [rows, columns] = shape as [number, number];
  return {
    parts: partsOf({ shape, storage: 'int8', transposed }),
    async write(tensors, name, parts) {
      const [codes, scales] = parts as [Int8Array, Float32Array];
      const width = shape.at(-1)!;
      const eachPiece = (quantise: (rows: Float32Array, first: number) => void) =>
        readRows(tensors, name, width, quantise);
      if (transposed) {
        await eachPiece((rows) => raiseMaxima(rows, scales));
        await eachPiece((rows, first) => quantiseColumns(rows, scales, codes.subarray(first * width)));
        toScales(scales);
      } else {
        await eachPiece((rows, first) =>
          quantiseRows(rows, width, codes.subarray(first * width), scales.subarray(first)),
        );
      }
    },
    weight(variables) {
      const [codes, scales] = variables as [Variable, Variable];
      const readRows = (start: number, count: number, after: tf.Tensor[]) =>
        unpackInt8(
          takeBlock(codes.read({ after }), [start, 0], [count, columns]),
          takeBlock(scales.read({ after }), [start, 0], [count, 1]),
        );
      return {
        kind: 'frozen',
        shape,
        read: (...after) => unpackInt8(codes.read({ after }), scales.read({ after })),
        gather: (ids) =>
          unpackInt8(codes.gather(ids), transposed ? scales.read() : scales.gather(ids), 'float32'),
        ...(!transposed &&
          shape.length === 2 && {
            slices: slicesOf(rows, columns, readRows),
            rowProduct: (x) => storedProduct.int8(x, codes.read({ after: [x] }), scales.read({ after: [x] })),
          }),
        ...(shape.length === 3 && {
          expertProduct: (x, experts, of) =>
            storedExpertProduct.int8(x, experts, codes.read({ after: [x] }), scales.read({ after: [x] }), of),
        }),
      };
    },
  };
}

function slicesOf(
  rows: number,
  columns: number,
  readRows: (start: number, count: number, after: tf.Tensor[]) => tf.Tensor,
): WeightSlice[] {
  const most = Math.max(1, Math.floor(SLICE_BYTES[graphTarget()] / (4 * columns)));
  return Array.from({ length: Math.ceil(rows / most) }, (_, i) => {
    const count = Math.min(most, rows - i * most);
    return { rows: count, read: (...after: tf.Tensor[]) => readRows(i * most, count, after) };
  });
}

/** 4-bit NormalFloat with double quantisation, in the weights' storage order. */
export function nf4Form(shape: number[]): WeightForm {
  return {
    parts: partsOf({ shape, storage: 'nf4', transposed: false }),
    async write(tensors, name, [packed]) {
      const quantiser = new Nf4Quantiser(packed as Uint8Array, elementCount(shape));
      await readRows(tensors, name, BLOCK, (blocks) => quantiser.add(blocks));
      quantiser.finish();
    },
    weight([packed], nf4Table) {
      const read = (...after: tf.Tensor[]) =>
        unpackNf4(packed!.read({ after }), () => nf4Table!.read(), shape);
      return {
        kind: 'frozen',
        shape,
        read,
        gather: (ids) => tf.gather(read(), ids),
        ...(shape.length === 2 &&
          shape[1]! % BLOCK === 0 && {
            rowProduct: (x) => storedProduct.nf4(x, packed!.read({ after: [x] }), shape),
          }),
        ...(shape.length === 3 &&
          shape[2]! % BLOCK === 0 && {
            expertProduct: (x, experts, of) =>
              storedExpertProduct.nf4(x, experts, packed!.read({ after: [x] }), shape, of),
          }),
      };
    },
  };
}

/**
 * Unpacks int8 codes `(N, H)`: `codes · scales`, with scales `(N, 1)` or `(1, H)`; or `(E, N, H)` with scales `(E, N, 1)`. Returns float32, or with kernels the type of product
 * factors. No gradient flows.
 */
function unpackInt8(codes: tf.Tensor, scales: tf.Tensor, dtype = factorType()): tf.Tensor {
  if (!usesKernels()) return tf.mul(cast(codes, 'float32'), scales);
  const parts = [codes, scales].map((t) => (t.rank === 2 ? t : tf.reshape(t, [-1, t.shape.at(-1)!])));
  const values = rawOp('GraftUnpackInt8', [attr.type('T', dtype)], parts)[0]!;
  return codes.rank === 2 ? values : tf.reshape(values, codes.shape);
}

/**
 * Unpacks NF4 weights of `shape` from `packed`, the bytes of `Nf4Quantiser`, with `table` `(65536, 4)` of `nf4Table`. Returns float32, or with
 * kernels the type of product factors. No gradient flows. Equal to bitsandbytes' `dequantize_4bit` for the same parts.
 */
function unpackNf4(packed: tf.Tensor, table: () => tf.Tensor, shape: number[]): tf.Tensor {
  if (usesKernels()) {
    const attributes = [attr.type('T', factorType()), attr.shape('shape', shape)];
    return rawOp('GraftUnpackNf4', attributes, [packed, tf.tensor1d(dynamicMap())])[0]!;
  }
  const size = elementCount(shape);
  const { blocks, groups } = nf4Sizes(size);
  const layout = nf4Layout(size);
  /** The bytes of a part, in rows of `columns`. */
  const part = (name: keyof typeof layout, columns: number) => {
    const { start, bytes } = layout[name];
    return tf.reshape(takeBlock(packed, [start], [bytes]), [bytes / columns, columns]);
  };
  const bitcast = (x: tf.Tensor, type: 'uint16' | 'float32') =>
    rawOp('Bitcast', [attr.type('type', type)], [x])[0]!;
  // One look-up reads two bytes, that is four weights.
  const values = tf.reshape(lookUp(table(), bitcast(part('codes', 2), 'uint16')), [blocks, BLOCK]);
  const nested = tf.reshape(bitcast(part('nestedAbsmax', 4), 'float32'), [groups, 1]);
  const centred = tf.mul(lookUp(tf.tensor1d(dynamicMap()), part('absmax', GROUP)), nested);
  const maxima = cut(tf.add(centred, bitcast(part('offset', 4), 'float32')), blocks);
  return tf.reshape(cut(tf.mul(values, tf.reshape(maxima, [blocks, 1])), size), shape);
}

/**
 * Products of x `(N, in)` with stored matrices `(out, in)`, by kernels: each row as if it were alone, equal to that with the unpacked matrix
 * unless inputs are rounded.
 */
const storedProduct = {
  bfloat16: (x: tf.Tensor, w: tf.Tensor) => rawOp('GraftProductOfBfloat16', [], [x, w])[0]!,
  int8: (x: tf.Tensor, codes: tf.Tensor, scales: tf.Tensor) =>
    rawOp('GraftProductOfInt8', [attr.bool('integers', roundsInputs())], [x, codes, scales])[0]!,
  /** `in` must be a multiple of `BLOCK`. */
  nf4: (x: tf.Tensor, packed: tf.Tensor, shape: number[]) =>
    rawOp(
      'GraftProductOfNf4',
      [attr.bool('integers', roundsInputs()), attr.shape('shape', shape)],
      [x, packed, tf.tensor1d(dynamicMap())],
    )[0]!,
};

/** Products of rows x and stored matrices `(E, R, in)` of their experts `(N, k)`, by kernels: equal to that with unpacked matrices. */
const storedExpertProduct = {
  int8: (x: tf.Tensor, experts: tf.Tensor, codes: tf.Tensor, scales: tf.Tensor, rows: MatrixRows) =>
    rawOp('GraftExpertProductOfInt8', matrixRows(rows), [x, experts, codes, scales])[0]!,
  /** `in` must be a multiple of `BLOCK`. */
  nf4: (x: tf.Tensor, experts: tf.Tensor, packed: tf.Tensor, shape: number[], rows: MatrixRows) =>
    rawOp(
      'GraftExpertProductOfNf4',
      [...matrixRows(rows), attr.shape('shape', shape)],
      [x, experts, packed, tf.tensor1d(dynamicMap())],
    )[0]!,
};

/** Replaces tf.slice, which does not support tensors of bytes. A GPU has no Slice for them either, only StridedSlice. */
function takeBlock(x: tf.Tensor, begin: number[], size: number[]): tf.Tensor {
  const end = begin.map((at, i) => at + size[i]!);
  const bounds = [begin, end, begin.map(() => 1)].map((each) => tf.tensor1d(each, 'int32'));
  return rawOp('StridedSlice', [], [x, ...bounds])[0]!;
}

function lookUp(table: tf.Tensor, codes: tf.Tensor): tf.Tensor {
  return rawOp('GatherV2', [], [table, cast(codes, 'int32'), tf.scalar(0, 'int32')])[0]!;
}

function cut(x: tf.Tensor, size: number): tf.Tensor {
  return x.size === size ? x : tf.slice(tf.reshape(x, [x.size]), [0], [size]);
}
