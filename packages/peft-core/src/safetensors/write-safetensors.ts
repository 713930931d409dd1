import { createHash } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { elementCount } from '../tensors/tensor-source.ts';
import { type SafetensorsType, safetensorsTypes } from './safetensors-header.ts';

export interface TensorToWrite {
  name: string;
  shape: readonly number[];
  /** Default F32. 16-bit floats are given as bit patterns. */
  dtype?: SafetensorsType;
  /** The values, or a function that loads them when they are written, so that a model is never completely in memory. */
  data: ArrayBufferView | (() => Promise<ArrayBufferView>);
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
  metadata: Record<string, string> = { format: 'pt' },
  bytesPerChunk = BYTES_PER_CHUNK,
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
      }
      bytes += content.byteLength;
    };
    await append(header);
    for (const tensor of sorted) await append(bytesOf(tensor, await valuesOf(tensor)));
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

async function valuesOf({ data }: TensorToWrite): Promise<ArrayBufferView> {
  return typeof data === 'function' ? data() : data;
}

function bytesOf({ name, shape, dtype = 'F32' }: TensorToWrite, data: ArrayBufferView): Uint8Array {
  const expected = elementCount(shape) * safetensorsTypes[dtype];
  if (data.byteLength !== expected) {
    throw new Error(`tensor "${name}" has ${data.byteLength} bytes; ${dtype} [${shape}] takes ${expected}`);
  }
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
