import type { DType, TypedArray, Variable } from '@graft/tf-graph';
import { tf } from '@graft/tf-graph';
import type { TensorSource } from './formats/index.ts';
import { unpackInt8, unpackNf4 } from './nn/unpack.ts';
import type { Weight } from './nn/weight.ts';
import { quantiseInt8 } from './quantise/int8.ts';
import { BLOCK, GROUP, nf4Sizes, quantiseNf4 } from './quantise/nf4.ts';

/** One variable of a stored weight; `''` is the weight's own name, others are added to it. */
interface Part {
  suffix: string;
  shape: number[];
  dtype: DType;
}

/** How a frozen weight lies in a program: the variables that hold it, how they are filled, and how a layer reads it. */
export interface WeightForm {
  parts: Part[];
  /** Values of the parts, in order, from the base model's tensor `name`. */
  pack(tensors: TensorSource, name: string): Promise<TypedArray[]>;
  /** The weight over the parts' variables. `nf4Table` is the program's one look-up table. */
  weight(variables: Variable[], nf4Table: Variable | null): Weight;
}

/** As it is: float32, or bfloat16, which readers widen or take as it is. */
export function plainForm(shape: number[], dtype: 'float32' | 'bfloat16'): WeightForm {
  return {
    parts: [{ suffix: '', shape, dtype }],
    pack: async (tensors, name) => [
      dtype === 'float32' ? await tensors.readFloat32(name) : await tensors.readBfloat16(name),
    ],
    weight: ([variable]) => ({
      kind: 'frozen',
      shape,
      read: (...after) => variable!.read({ after, stored: true }),
      gather: (ids) => variable!.gather(ids),
    }),
  };
}

/** Bytes and a scale for each output: of linear matrices `(out, in)` or `(in, out)`, and of embedding tables by row. */
export function int8Form(shape: number[], transposed: boolean): WeightForm {
  const [rows, columns] = shape as [number, number];
  return {
    parts: [
      { suffix: '', shape, dtype: 'int8' },
      { suffix: '.scales', shape: transposed ? [1, columns] : [rows, 1], dtype: 'float32' },
    ],
    async pack(tensors, name) {
      const { codes, scales } = quantiseInt8(await tensors.readFloat32(name), shape, transposed);
      return [codes, scales];
    },
    weight: ([codes, scales]) => ({
      kind: 'frozen',
      shape,
      read: (...after) => unpackInt8(codes!.read({ after }), scales!.read({ after })),
      gather: (ids) => unpackInt8(codes!.gather(ids), transposed ? scales!.read() : scales!.gather(ids)),
    }),
  };
}

/** 4-bit NormalFloat with double quantisation, in the order the weights are stored in. */
export function nf4Form(shape: number[]): WeightForm {
  const { blocks, groups } = nf4Sizes(shape.reduce((a, b) => a * b, 1));
  return {
    parts: [
      { suffix: '', shape: [(blocks * BLOCK) / 2], dtype: 'uint8' },
      { suffix: '.absmax', shape: [groups * GROUP], dtype: 'uint8' },
      { suffix: '.nested_absmax', shape: [groups], dtype: 'float32' },
      { suffix: '.offset', shape: [1], dtype: 'float32' },
    ],
    async pack(tensors, name) {
      const { codes, absmax, nestedAbsmax, offset } = quantiseNf4(await tensors.readFloat32(name));
      return [codes, absmax, nestedAbsmax, offset];
    },
    weight(variables, nf4Table) {
      const read = (...after: tf.Tensor[]) => {
        const [codes, absmax, nestedAbsmax, offset] = variables.map((variable) => variable.read({ after }));
        const parts = { codes: codes!, absmax: absmax!, nestedAbsmax: nestedAbsmax!, offset: offset! };
        return unpackNf4({ ...parts, table: nf4Table!.read() }, shape);
      };
      return { kind: 'frozen', shape, read, gather: (ids) => tf.gather(read(), ids as tf.Tensor1D) };
    },
  };
}
