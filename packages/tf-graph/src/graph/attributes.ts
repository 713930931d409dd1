// Attributes of TensorFlow ops, in the format of tfjs-node's binding: { name, type, value }.
import { codeOf, type DType, isDType } from '../dtypes.ts';

/** TF_AttrType of c_api.h. */
export const attrType = { string: 0, int: 1, float: 2, bool: 3, type: 4, shape: 5 } as const;

export interface Attr {
  name: string;
  type: number;
  value: boolean | number | string | number[] | object;
}

/** The value of a constant, as little-endian bytes. */
export interface TensorValue {
  dtype: number;
  shape: readonly number[];
  content: Uint8Array;
}
export type NodeAttr = Attr | { name: string; tensor: TensorValue };

const typeCode = (dtype: DType): number => {
  if (!isDType(dtype)) throw new Error(`unknown dtype "${dtype}"`);
  return codeOf(dtype);
};

export const attr = {
  type: (name: string, dtype: DType): Attr => ({ name, type: attrType.type, value: typeCode(dtype) }),
  int: (name: string, value: number): Attr => ({ name, type: attrType.int, value }),
  ints: (name: string, value: number[]): Attr => ({ name, type: attrType.int, value }),
  float: (name: string, value: number): Attr => ({ name, type: attrType.float, value }),
  floats: (name: string, value: number[]): Attr => ({ name, type: attrType.float, value }),
  bool: (name: string, value: boolean): Attr => ({ name, type: attrType.bool, value }),
  string: (name: string, value: string): Attr => ({ name, type: attrType.string, value }),
  shape: (name: string, value: number[]): Attr => ({ name, type: attrType.shape, value }),
  /** Pins the node to a device; if that is impossible, the run fails. TensorFlow places other nodes as it likes. */
  device: (kind: 'cpu' | 'gpu'): Attr => ({
    name: '_device',
    type: attrType.string,
    value: `/device:${kind.toUpperCase()}:0`,
  }),
};
