import { toBfloat16 } from '@graft/tf-graph/bfloat16';
import { GraftError } from '../errors.ts';

export interface TensorInfo {
  /** How the tensor is stored: safetensors' names, or GGUF's quantisation types. */
  dtype: string;
  /** Hugging Face layout: linear weights `[out, in]`, row-major. */
  shape: number[];
}

/** Returns true if bfloat16 represents all values of this type. Scales of MXFP4 at both ends of their range give some that it does not. */
export const isExactInBfloat16 = (dtype: string): boolean => dtype === 'BF16' || dtype === 'MXFP4';

/** Gets the next values of a tensor. */
export type TakePiece = (piece: Float32Array) => Promise<void>;

/** The weights of a model by Hugging Face name, read one at a time from disk. */
export interface TensorSource {
  names(): string[];
  has(name: string): boolean;
  /** Throws GraftError `tensor_not_found`, which names the tensor. */
  info(name: string): TensorInfo;
  /** Reads the values into `out`, which must have their number, or into a new array. */
  readFloat32(name: string, out?: Float32Array): Promise<Float32Array>;
  /**
   * Calls `take` with all values in order, about `valuesPerChunk` at a time, so that a large tensor is never completely in memory. A piece is
   * valid until `take` ends. Absent: `readPieces` below reads the whole tensor.
   */
  readPieces?(name: string, take: TakePiece): Promise<void>;
  /** Reads bytes of a U8 tensor from `start` on into `out`. Absent where a source has no such tensors. */
  readBytes?(name: string, start: number, out: Uint8Array): Promise<void>;
  /** Reads the values as bit patterns; wider values are rounded to nearest even. */
  readBfloat16(name: string, out?: Uint16Array): Promise<Uint16Array>;
}

/** Calls `take` with all values of a tensor in order: in pieces, if the source can. */
export async function readPieces(source: TensorSource, name: string, take: TakePiece): Promise<void> {
  if (source.readPieces) return await source.readPieces(name, take);
  await take(await source.readFloat32(name));
}

/**
 * Calls `take` with all rows of `width` values in order, and the number of the first: whole rows, about `valuesPerChunk` values at a time.
 * Only the last may be shorter.
 */
export async function readRows(
  source: TensorSource,
  name: string,
  width: number,
  take: (rows: Float32Array, first: number) => void | Promise<void>,
): Promise<void> {
  const most = Math.max(1, Math.floor(valuesPerChunk / width)) * width;
  let buffer: Float32Array | undefined;
  let held = 0;
  let first = 0;
  const pass = async (values: Float32Array) => {
    const rows = first;
    first += Math.ceil(values.length / width);
    await take(values, rows);
  };
  await readPieces(source, name, async (piece) => {
    if (held === 0 && piece.length % width === 0) return await pass(piece);
    buffer ??= new Float32Array(most);
    for (let at = 0; at < piece.length; ) {
      const next = piece.subarray(at, at + most - held);
      buffer.set(next, held);
      at += next.length;
      held += next.length;
      if (held < most) continue;
      held = 0;
      await pass(buffer);
    }
  });
  if (held > 0) await pass(buffer!.subarray(0, held));
}

/** A tensor with its values in memory, row-major. */
export interface HostTensor {
  shape: number[];
  data: Float32Array;
}

/** Number of values of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** The error of every source for an unknown name. */
export function tensorNotFound(path: string, name: string): GraftError {
  return new GraftError('tensor_not_found', `${path} has no tensor "${name}"`);
}

/** Values converted at a time: 4 MB of float32, so that a large tensor is never in memory in two types. */
export const valuesPerChunk = 1 << 20;

/** Writes the values `[start, start + target.length)` of a tensor into `target`. */
export type Fill = (start: number, target: Float32Array) => Promise<void>;

/** Reads through `fill` into `out`, `chunkSize` values at a time. */
export async function readInChunks(out: Float32Array, chunkSize: number, fill: Fill): Promise<Float32Array> {
  for (let start = 0; start < out.length; start += chunkSize)
    await fill(start, out.subarray(start, start + chunkSize));
  return out;
}

/** Reads through `fill` in chunks and rounds each to bfloat16. */
export async function roundToBfloat16(out: Uint16Array, chunkSize: number, fill: Fill): Promise<Uint16Array> {
  return await withBuffers([chunkSize], out.length, async ([buffer]) => {
    for (let start = 0; start < out.length; start += chunkSize) {
      const chunk = buffer!.subarray(0, Math.min(chunkSize, out.length - start));
      await fill(start, chunk);
      toBfloat16(chunk, out.subarray(start, start + chunk.length));
    }
    return out;
  });
}

/** Reusable buffers for chunks: allocating memory for each of a model's tensors took a fifth of the time of reading them. */
const buffers: Float32Array[] = [];

/** Calls `use` with buffers of `counts` values each, but at most `most`. Their content is not valid after `use`. */
export async function withBuffers<T>(
  counts: number[],
  most: number,
  use: (buffers: Float32Array[]) => Promise<T>,
): Promise<T> {
  const sizes = counts.map((count) => Math.min(count, most));
  const taken = sizes.map((size) =>
    size > valuesPerChunk ? new Float32Array(size) : (buffers.pop() ?? new Float32Array(valuesPerChunk)),
  );
  try {
    return await use(taken.map((buffer, i) => buffer.subarray(0, sizes[i])));
  } finally {
    buffers.push(...taken.filter(({ length }) => length === valuesPerChunk));
  }
}

/** Throws GraftError `invalid_safetensors` or `invalid_gguf` if a tensor is read into an array of another size. */
export function checkSize(
  out: { length: number },
  shape: readonly number[],
  { code, path, name }: { code: 'invalid_safetensors' | 'invalid_gguf'; path: string; name: string },
): void {
  const count = elementCount(shape);
  if (out.length === count) return;
  throw new GraftError(code, `${path}: tensor "${name}" has ${count} values; ${out.length} are wanted`);
}
