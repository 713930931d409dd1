// Element types. TensorFlow graphs have more of them than tfjs: a tensor has a storage type, kept by this package, and the type that tfjs
// sees, so that plain tfjs code and its gradients accept it.
export type DType =
  | 'float32'
  | 'float64'
  | 'bfloat16'
  | 'half'
  | 'int32'
  | 'int64'
  | 'int16'
  | 'int8'
  | 'uint8'
  | 'uint16'
  | 'bool';
export type VisibleDType = 'float32' | 'int32' | 'bool';
export type TypedArray = Float32Array | Int32Array | Uint8Array | Uint16Array | Int8Array | Int16Array;

/** `code`: TensorFlow's DataType enum (types.proto). `bytes`: bytes per element. */
const table: Record<DType, { code: number; bytes: number; visible: VisibleDType }> = {
  float32: { code: 1, bytes: 4, visible: 'float32' },
  float64: { code: 2, bytes: 8, visible: 'float32' },
  int32: { code: 3, bytes: 4, visible: 'int32' },
  uint8: { code: 4, bytes: 1, visible: 'int32' },
  int16: { code: 5, bytes: 2, visible: 'int32' },
  int8: { code: 6, bytes: 1, visible: 'int32' },
  int64: { code: 9, bytes: 8, visible: 'int32' },
  bool: { code: 10, bytes: 1, visible: 'bool' },
  bfloat16: { code: 14, bytes: 2, visible: 'float32' },
  uint16: { code: 17, bytes: 2, visible: 'int32' },
  half: { code: 19, bytes: 2, visible: 'float32' },
};
const byCode = new Map(Object.entries(table).map(([name, { code }]) => [code, name as DType]));

export const isDType = (name: string): name is DType => Object.hasOwn(table, name);
export const codeOf = (dtype: DType): number => table[dtype].code;
export const bytesOf = (dtype: DType): number => table[dtype].bytes;
export const visibleOf = (dtype: DType): VisibleDType => table[dtype].visible;

export function dtypeOfCode(code: number): DType {
  const dtype = byCode.get(code);
  if (!dtype) throw new Error(`TensorFlow data type ${code} is not supported`);
  return dtype;
}

export const sizeOf = (shape: readonly number[]): number =>
  shape.reduce((product, dimension) => product * dimension, 1);
