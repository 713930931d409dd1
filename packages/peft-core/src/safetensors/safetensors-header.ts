import { GraftError } from '../errors.ts';
import { jsonExtent } from '../schema/json-extent.ts';
import { elementCount } from '../tensors/tensor-source.ts';

/** Bytes per value of every dtype in the format, widest first: the order in which the reference writer stores tensors. */
export const safetensorsTypes = {
  U64: 8,
  I64: 8,
  F64: 8,
  F32: 4,
  U32: 4,
  I32: 4,
  BF16: 2,
  F16: 2,
  U16: 2,
  I16: 2,
  F8_E4M3: 1,
  F8_E5M2: 1,
  I8: 1,
  U8: 1,
  BOOL: 1,
} as const;

export type SafetensorsType = keyof typeof safetensorsTypes;

export interface SafetensorsEntry {
  dtype: SafetensorsType;
  shape: number[];
  /** Position of the first byte in the file. */
  position: number;
  /** Length in bytes. */
  bytes: number;
}

export interface SafetensorsHeader {
  metadata: Record<string, string>;
  tensors: Map<string, SafetensorsEntry>;
}

/** Maximum header size, checked before memory is allocated: 16 MB describes about 100,000 tensors, ten times the largest models. */
export const longestHeader = 16_000_000;

/** A header has three levels, and about ten values per tensor. More would need gigabytes of memory. */
const deepest = 8;
const maxValues = 3_000_000;

/** Maximum number of dimensions of a tensor, as in numpy 2. */
const maxDimensions = 64;

function invalid(path: string, what: string, cause?: unknown): GraftError {
  return new GraftError('invalid_safetensors', `${path}: ${what}`, { cause });
}

/** Checks the length word (bytes 0–7) against the file. Returns the header's length in bytes. */
export function headerLength(path: string, word: Uint8Array, fileSize: number): number {
  const length = new DataView(word.buffer, word.byteOffset, 8).getBigUint64(0, true);
  if (length > longestHeader)
    throw invalid(path, `header of ${length} bytes; at most ${longestHeader} are allowed`);
  if (Number(length) < 2) throw invalid(path, `header of ${length} bytes; the shortest has 2`);
  if (8 + Number(length) > fileSize) {
    throw invalid(path, `header of ${length} bytes, but the file has only ${fileSize}`);
  }
  return Number(length);
}

/**
 * Parses and checks a header: every tensor's bytes must match its dtype and shape, and all tensors together must cover the
 * rest of the file exactly once. Throws GraftError `invalid_safetensors`, which names file and tensor.
 */
export function parseHeader(path: string, header: Uint8Array, fileSize: number): SafetensorsHeader {
  if (header[0] !== 0x7b) throw invalid(path, 'header does not begin with "{"');
  let json: unknown;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(header);
    const { depth, values } = jsonExtent(text);
    if (depth > deepest || values > maxValues)
      throw invalid(
        path,
        `header nests ${depth} levels deep or holds ${values} values; at most ${deepest} and ${maxValues} are read`,
      );
    json = JSON.parse(text);
  } catch (cause) {
    if (cause instanceof GraftError) throw cause;
    // The parser's error is not the cause, because its message quotes the header.
    throw invalid(path, 'header is not JSON');
  }
  const start = 8 + header.byteLength;
  const tensors = new Map<string, SafetensorsEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(json as object)) {
    if (name === '__metadata__') metadata = parseMetadata(path, value);
    else tensors.set(name, parseEntry(path, name, value, start, fileSize));
  }
  checkCover(path, tensors, start, fileSize);
  return { metadata, tensors };
}

function parseMetadata(path: string, value: unknown): Record<string, string> {
  const ok = isObject(value) && Object.values(value).every((text) => typeof text === 'string');
  if (!ok) throw invalid(path, '__metadata__ must map strings to strings');
  return value as Record<string, string>;
}

function parseEntry(
  path: string,
  name: string,
  value: unknown,
  start: number,
  fileSize: number,
): SafetensorsEntry {
  const fail = (what: string) => invalid(path, `tensor "${name}" ${what}`);
  if (!isObject(value)) throw fail('is not described by an object');
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(safetensorsTypes, dtype)) {
    throw fail(`has dtype ${JSON.stringify(dtype)}; known: ${Object.keys(safetensorsTypes).join(', ')}`);
  }
  if (!Array.isArray(shape) || shape.length > maxDimensions || !shape.every(isCount)) {
    throw fail(`has shape ${JSON.stringify(shape)?.slice(0, 100)}`);
  }
  const [begin, end, ...more] = Array.isArray(offsets) ? offsets : [];
  if (!isCount(begin) || !isCount(end) || begin > end || more.length > 0) {
    throw fail(`has data_offsets ${JSON.stringify(offsets)?.slice(0, 100)}`);
  }
  if (start + end > fileSize) throw fail(`ends at byte ${start + end}, but the file has only ${fileSize}`);
  const width = safetensorsTypes[dtype as SafetensorsType];
  // A product too large for a double is infinite or inexact, and then equals no length that fits the file.
  const expected = width * elementCount(shape);
  if (expected !== end - begin) {
    throw fail(`has ${end - begin} bytes, but ${dtype} [${shape}] takes ${expected}`);
  }
  return { dtype: dtype as SafetensorsType, shape, position: start + begin, bytes: end - begin };
}

function checkCover(
  path: string,
  tensors: Map<string, SafetensorsEntry>,
  start: number,
  fileSize: number,
): void {
  const inOrder = [...tensors].sort(([, a], [, b]) => a.position - b.position || a.bytes - b.bytes);
  let covered = start;
  for (const [name, { position, bytes }] of inOrder) {
    if (position < covered) throw invalid(path, `tensor "${name}" overlaps the one before it`);
    if (position > covered) throw invalid(path, `${position - covered} unused bytes before tensor "${name}"`);
    covered += bytes;
  }
  if (covered !== fileSize) throw invalid(path, `${fileSize - covered} unused bytes at its end`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
