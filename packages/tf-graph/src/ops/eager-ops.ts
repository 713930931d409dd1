// Eager mode: executes the same ops immediately on tfjs-node's backend, with storage types that tfjs does not know.
import { codeOf, type DType, dtypeOfCode, sizeOf, type TypedArray, visibleOf } from '../dtypes.ts';

import { type Attr, attr } from '../graph/attributes.ts';
import { binding, nativeBackend, type TensorMetadata, tf } from '../tensorflow.ts';
import { bindTypes, outputCount, signatureOf } from './op-signature.ts';

export const eagerDtypeOf = (tensor: tf.TensorInfo): DType =>
  dtypeOfCode(nativeBackend.tensorMap.get(tensor.dataId).dtype);

export function executeEagerly(op: string, given: Attr[], inputs: tf.TensorInfo[]): tf.Tensor[] {
  const signature = signatureOf(op);
  const types = bindTypes(
    op,
    signature,
    given,
    inputs.map((input) => ({
      dtype: eagerDtypeOf(input),
      constant: nativeBackend.tensorMap.get(input.dataId).values !== null,
    })),
  );
  const converted = inputs.map((input, i) => convert(input, types.inputs[i] as DType));
  return binding
    .executeOp(
      op,
      types.attrs,
      nativeBackend.getInputTensorIds(converted),
      outputCount(signature, types.attrs),
    )
    .map(register);
}

/** Creates a tensor of `dtype` with a copy of `data`. */
export function eagerTensor(dtype: DType, shape: readonly number[], data: TypedArray): tf.Tensor {
  return register({
    id: createHostTensor(dtype, shape, data),
    shape: [...shape],
    dtype: attr.type('', dtype).value as number,
  });
}

function convert(input: tf.TensorInfo, dtype: DType): tf.TensorInfo {
  const from = eagerDtypeOf(input);
  if (from === dtype) return input;
  const ids = nativeBackend.getInputTensorIds([input]);
  const [out] = binding.executeOp(
    'Cast',
    [attr.type('SrcT', from), attr.type('DstT', dtype), attr.bool('Truncate', false)],
    ids,
    1,
  );
  return register(out as TensorMetadata);
}

function register({ id, shape, dtype }: TensorMetadata): tf.Tensor {
  const dataId = {};
  nativeBackend.tensorMap.set(dataId, { id, shape, dtype, values: null, refCount: 1 });
  return tf
    .engine()
    .makeTensorFromTensorInfo({ dataId, shape, dtype: visibleOf(dtypeOfCode(dtype)) }, nativeBackend);
}

/**
 * Creates a native tensor with a copy of `data`; returns its id for the binding. TensorFlow must copy the data: the binding would let it
 * use JavaScript's memory directly if that is 64-byte aligned, and the tensor would then refer to memory that JavaScript changes and that
 * another thread may free. An address four bytes past the start of a buffer, which allocators align to at least 8 bytes, is never 64-byte
 * aligned.
 */
function createHostTensor(dtype: DType, shape: readonly number[], data: TypedArray): number {
  if (data.length !== sizeOf(shape)) throw new Error(`${data.length} values for shape [${shape}]`);
  const aside = data.byteOffset % 8 === 4 ? data : copyAside(data);
  return binding.createTensor([...shape], codeOf(dtype), aside as tf.TypedArray);
}

function copyAside<T extends TypedArray>(data: T): T {
  const type = data.constructor as new (buffer: ArrayBuffer, offset: number, length: number) => T;
  const copy = new type(new ArrayBuffer(4 + data.byteLength), 4, data.length);
  copy.set(data);
  return copy;
}
