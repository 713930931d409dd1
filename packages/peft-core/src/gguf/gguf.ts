import { RandomAccessFile } from '../tensors/random-access-file.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import { GgufCursor } from './cursor.ts';
import { GgufMetadata, type GgufValue, limits, readString, readValue } from './metadata.ts';
import { ggmlTypeName, ggufTypes, isGgufType } from './types.ts';

export interface GgufTensor {
  /** Name of the ggml type; only types in `ggufTypes` can be unpacked. */
  dtype: string;
  /** Row-major, as in numpy and Hugging Face: the reverse of GGUF's order. */
  shape: number[];
  /** Position of the first byte in the file. */
  position: number;
  /** Length in bytes; null for a type that cannot be unpacked. */
  bytes: number | null;
}

/** An open GGUF file (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). */
export interface GgufFile {
  file: RandomAccessFile;
  version: number;
  metadata: GgufMetadata;
  tensors: Map<string, GgufTensor>;
  close(): Promise<void>;
}

/** 'GGUF' read as a little-endian word. */
const magic = 0x46554747;

/** ggml's limits: GGML_MAX_DIMS and GGML_MAX_NAME. */
const maxDimensions = 4;
const longestName = 64;

/** Minimum bytes of a key-value pair (empty key, type, one byte) and of a tensor's description (no name, no dimension). */
const leastPair = 13;
const leastTensor = 24;

/** Maximum size of the header: the largest vocabularies need about 15 MB. */
const longestHeader = 128 << 20;

/**
 * Opens a GGUF file, version 2 or 3, and reads its header; the caller closes the file. Counts, lengths and offsets are checked
 * against the file's length before memory is allocated. Throws GraftError `invalid_gguf`, which names file and key or tensor.
 */
export async function openGguf(path: string): Promise<GgufFile> {
  const file = await RandomAccessFile.open(path);
  try {
    const header = await readHeader(file);
    return { file, ...header, close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readHeader(
  file: RandomAccessFile,
): Promise<Pick<GgufFile, 'version' | 'metadata' | 'tensors'>> {
  const cursor = new GgufCursor(file);
  await cursor.need(8, 'the magic word');
  if (cursor.u32() !== magic) throw cursor.fail('not a GGUF file (its first bytes are not "GGUF")');
  const version = cursor.u32();
  if (version > 0xffff) throw cursor.fail('a big-endian GGUF file; only little-endian ones are read');
  if (version !== 2 && version !== 3) throw cursor.fail(`GGUF version ${version}; versions 2 and 3 are read`);
  await cursor.need(16, 'the count of tensors and keys');
  const tensorCount = checkedCount(cursor, 'tensors', leastTensor, limits.tensors);
  const pairCount = checkedCount(cursor, 'keys', leastPair, limits.pairs);
  const metadata = new GgufMetadata(file.path, await readPairs(cursor, pairCount));
  const tensors = await readTensors(cursor, tensorCount);
  placeTensors(cursor, tensors, metadata, file.size);
  return { version, metadata, tensors };
}

function checkedCount(cursor: GgufCursor, what: string, least: number, most: number): number {
  const count = cursor.u64();
  if (typeof count !== 'number' || count * least > cursor.remaining) {
    throw cursor.fail(`claims ${count} ${what}, but only ${cursor.remaining} bytes follow`);
  }
  if (count > most) throw cursor.fail(`has ${count} ${what}; at most ${most} are read`);
  return count;
}

function checkHeaderSize(cursor: GgufCursor): void {
  if (cursor.position > longestHeader) throw cursor.fail(`its header is longer than ${longestHeader} bytes`);
}

async function readPairs(cursor: GgufCursor, count: number): Promise<Map<string, GgufValue>> {
  const values = new Map<string, GgufValue>();
  const budget = { elements: limits.elements };
  for (let i = 0; i < count; i++) {
    const key = await readString(cursor, limits.key, `key ${i}`);
    if (values.has(key)) throw cursor.fail(`key "${key}" appears twice`);
    values.set(key, await readValue(cursor, key, budget));
    checkHeaderSize(cursor);
  }
  return values;
}

async function readTensors(cursor: GgufCursor, count: number): Promise<Map<string, GgufTensor>> {
  const tensors = new Map<string, GgufTensor>();
  for (let i = 0; i < count; i++) {
    const name = await readString(cursor, longestName, `the name of tensor ${i}`);
    if (tensors.has(name)) throw cursor.fail(`tensor "${name}" appears twice`);
    await cursor.need(4, `tensor "${name}"`);
    const dimensions = cursor.u32();
    if (dimensions > maxDimensions) {
      throw cursor.fail(
        `tensor "${name}" has ${dimensions} dimensions; at most ${maxDimensions} are allowed`,
      );
    }
    await cursor.need(8 * dimensions + 12, `tensor "${name}"`);
    const shape = Array.from({ length: dimensions }, () => Number(cursor.u64())).reverse();
    const dtype = ggmlTypeName(cursor.u32());
    const offset = Number(cursor.u64());
    tensors.set(name, { dtype, shape, position: offset, bytes: storedBytes(cursor, name, dtype, shape) });
    checkHeaderSize(cursor);
  }
  return tensors;
}

function storedBytes(cursor: GgufCursor, name: string, dtype: string, shape: number[]): number | null {
  const count = elementCount(shape);
  if (!Number.isSafeInteger(count)) throw cursor.fail(`tensor "${name}" has the impossible shape [${shape}]`);
  if (!isGgufType(dtype)) return null;
  const { values, bytes } = ggufTypes[dtype];
  const width = shape.at(-1) ?? 1;
  if (width % values !== 0) {
    throw cursor.fail(`tensor "${name}" has rows of ${width} values, but ${dtype} packs ${values} at a time`);
  }
  return (count / values) * bytes;
}

/** Converts offsets to positions and checks that tensors are aligned, inside the file and do not overlap. */
function placeTensors(
  cursor: GgufCursor,
  tensors: Map<string, GgufTensor>,
  metadata: GgufMetadata,
  fileSize: number,
): void {
  const alignment = metadata.count('general.alignment') ?? 32;
  if (alignment === 0 || alignment % 8 !== 0 || alignment > 1 << 20) {
    throw cursor.fail(`general.alignment is ${alignment}; it must be a multiple of 8, at most ${1 << 20}`);
  }
  const start = Math.ceil(cursor.position / alignment) * alignment;
  let end = 0;
  for (const [name, tensor] of [...tensors].sort(([, a], [, b]) => a.position - b.position)) {
    const offset = tensor.position;
    if (!Number.isSafeInteger(offset) || offset % alignment !== 0) {
      throw cursor.fail(`tensor "${name}" is at offset ${offset}, not a multiple of ${alignment}`);
    }
    if (offset < end) throw cursor.fail(`tensor "${name}" overlaps the one before it`);
    end = offset + (tensor.bytes ?? 0);
    tensor.position = start + offset;
    if (start + end > fileSize) {
      throw cursor.fail(`tensor "${name}" ends at byte ${start + end}, but the file has only ${fileSize}`);
    }
  }
}
