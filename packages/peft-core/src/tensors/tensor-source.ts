import { toBfloat16 } from '@graft/tf-graph/bfloat16';
import { GraftError } from '../errors.ts';

export interface TensorInfo {
  /** How the tensor is stored: safetensors' names, or GGUF's quantisation types. */
  dtype: string;
  /** Hugging Face layout: linear weights `[out, in]`, row-major. */
  shape: number[];
}

/** The weights of a model by Hugging Face name, read one at a time from disk. */
export interface TensorSource {
  names(): string[];
  has(name: string): boolean;
  /** Throws GraftError `tensor_not_found` naming the tensor. */
  info(name: string): TensorInfo;
  readFloat32(name: string): Promise<Float32Array>;
  /** Bit patterns; rounded to nearest even when the tensor is stored wider. */
  readBfloat16(name: string): Promise<Uint16Array>;
}

/** A tensor whose values are in memory, row-major. */
export interface HostTensor {
  shape: number[];
  data: Float32Array;
}

/** Number of values of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** What every source does with a name it does not have. */
export function tensorNotFound(path: string, name: string): GraftError {
  return new GraftError('tensor_not_found', `${path} has no tensor "${name}"`);
}

/** Values converted at a time: 4 MB of float32, so that a large tensor is never in memory in two forms. */
export const valuesPerChunk = 1 << 20;

/** Room for a chunk, used again: fresh memory for each of a model's tensors took a fifth of the time of reading them. */
const rooms: Float32Array[] = [];

/** Reads through `fill` in chunks and rounds each to bfloat16. `fill` puts values `[start, start + chunk.length)` into its target. */
export async function roundToBfloat16(
  count: number,
  chunkSize: number,
  fill: (start: number, target: Float32Array) => Promise<void>,
): Promise<Uint16Array> {
  const out = new Uint16Array(count);
  const room = rooms.pop() ?? new Float32Array(valuesPerChunk);
  try {
    for (let start = 0; start < count; start += chunkSize) {
      const chunk = room.subarray(0, Math.min(chunkSize, count - start));
      await fill(start, chunk);
      toBfloat16(chunk, out.subarray(start, start + chunk.length));
    }
  } finally {
    rooms.push(room);
  }
  return out;
}
