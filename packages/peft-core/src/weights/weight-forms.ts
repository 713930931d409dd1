import { type TypedArray, tf, type Variable } from '@graft/tf-graph';
import type { TensorSource } from '../files.ts';
import { graphTarget, widensProducts } from '../nn/computation.ts';
import type { FrozenWeight, WeightSlice } from '../nn/weight.ts';
import { elementCount, readRows } from '../tensors/tensor-source.ts';
import { partsOf, SLICE_BYTES, type StoredPart } from './base-storage.ts';
import { quantiseColumns, quantiseRows, raiseMaxima, toScales } from './quantise/int8.ts';
import { BLOCK, Nf4Quantiser } from './quantise/nf4.ts';
import { storedExpertProduct, storedProduct, takeBlock, unpackInt8, unpackNf4 } from './unpack.ts';

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
