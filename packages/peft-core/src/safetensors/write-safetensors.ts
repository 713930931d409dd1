import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { elementCount } from '../tensors/tensor-source.ts';
import { type SafetensorsType, safetensorsTypes } from './safetensors-header.ts';

export interface TensorToWrite {
  name: string;
  shape: readonly number[];
  /** Default F32. 16-bit floats are given as bit patterns. */
  dtype?: SafetensorsType;
  /**
   * The values, or a function that is called when they are written, so that a model is never completely in memory: it returns them, or
   * gives them to `append` in pieces.
   */
  data: ArrayBufferView | ((append: Append) => Promise<ArrayBufferView | undefined>);
}

/** Writes the next values of a tensor, which may be overwritten afterwards. */
export type Append = (values: ArrayBufferView) => Promise<void>;

export interface WritingOptions {
  metadata?: Record<string, string>;
  /** Number of bytes hashed and written at a time. */
  bytesPerChunk?: number;
  /** Called after each chunk with its number of bytes; an error of this function ends the writing. */
  onBytes?: ((bytes: number) => void) | undefined;
}

export interface WrittenFile {
  path: string;
  bytes: number;
  sha256: string;
}

/** Number of bytes hashed and written at a time: Node supports less than 2^31 bytes per call. */
const BYTES_PER_CHUNK = 1 << 26;

/**
 * Writes a safetensors file byte for byte like the reference implementation: tensors by descending width of dtype,
 * then by name; header padded with spaces to 8 bytes. The file is complete and on disk, or absent: it is written beside `path`,
 * synced and renamed.
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorToWrite[],
  { metadata = { format: 'pt' }, bytesPerChunk = BYTES_PER_CHUNK, onBytes }: WritingOptions = {},
): Promise<WrittenFile> {
  const sorted = [...tensors].sort(byLayout);
  const header = layOut(sorted, metadata);
  const partial = `${path}.partial`;
  const hash = createHash('sha256');
  let bytes = 0;
  const file = await open(partial, 'w');
  try {
    const append = async (content: Uint8Array) => {
      for (let start = 0; start < content.byteLength; start += bytesPerChunk) {
        const chunk = content.subarray(start, start + bytesPerChunk);
        hash.update(chunk);
        await file.writeFile(chunk);
        onBytes?.(chunk.byteLength);
      }
      bytes += content.byteLength;
    };
    await append(header);
    for (const tensor of sorted) await appendTensor(tensor, append);
    await file.sync();
    await file.close();
    await rename(partial, path);
  } catch (error) {
    await file.close().catch(() => {});
    await rm(partial, { force: true });
    throw error;
  }
  return { path, bytes, sha256: hash.digest('hex') };
}

function layOut(sorted: TensorToWrite[], metadata: Record<string, string>): Uint8Array {
  const header: Record<string, unknown> = Object.create(null);
  if (Object.keys(metadata).length > 0) header.__metadata__ = metadata;
  let offset = 0;
  for (const { name, shape, dtype = 'F32' } of sorted) {
    if (name in header) throw new Error(`two tensors are named "${name}"`);
    const end = offset + elementCount(shape) * safetensorsTypes[dtype];
    header[name] = { dtype, shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Math.ceil(json.byteLength / 8) * 8;
  const bytes = Buffer.alloc(8 + length, ' ');
  bytes.writeBigUInt64LE(BigInt(length), 0);
  json.copy(bytes, 8);
  return bytes;
}

const typeOrder = Object.keys(safetensorsTypes);

function byLayout(a: TensorToWrite, b: TensorToWrite): number {
  const order = typeOrder.indexOf(a.dtype ?? 'F32') - typeOrder.indexOf(b.dtype ?? 'F32');
  // By UTF-8 bytes, as the reference implementation compares names.
  return order || Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));
}

async function appendTensor(
  { name, shape, dtype = 'F32', data }: TensorToWrite,
  append: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const expected = elementCount(shape) * safetensorsTypes[dtype];
  let given = 0;
  const appendValues: Append = async (values) => {
    given += values.byteLength;
    if (given <= expected) await append(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  };
  const whole = typeof data === 'function' ? await data(appendValues) : data;
  if (whole) await appendValues(whole);
  if (given !== expected)
    throw new Error(`tensor "${name}" has ${given} bytes; ${dtype} [${shape}] takes ${expected}`);
}
