import { fromBfloat16 } from '@graft/tf-graph/bfloat16';
import { GraftError } from '../errors.ts';
import { bytesOf } from '../tensors/bytes-of.ts';
import { float8Values } from '../tensors/float8.ts';
import { float16ToFloat32 } from '../tensors/float16.ts';
import { RandomAccessFile } from '../tensors/random-access-file.ts';
import {
  checkSize,
  elementCount,
  type Fill,
  type HostTensor,
  readInChunks,
  roundToBfloat16,
  type TakePiece,
  type TensorInfo,
  type TensorSource,
  tensorNotFound,
  valuesPerChunk,
  withBuffers,
} from '../tensors/tensor-source.ts';
import {
  headerLength,
  parseHeader,
  type SafetensorsEntry,
  type SafetensorsType,
} from './safetensors-header.ts';

/** Values as stored: 16-bit floats and float8 are bit patterns, BOOL is 0 or 1. */
export type StoredValues =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigUint64Array
  | BigInt64Array;

const arrays: Record<SafetensorsType, new (buffer: ArrayBuffer) => StoredValues> = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  F8_E4M3: Uint8Array,
  F8_E5M2: Uint8Array,
  U64: BigUint64Array,
  I64: BigInt64Array,
  U32: Uint32Array,
  I32: Int32Array,
  U16: Uint16Array,
  I16: Int16Array,
  U8: Uint8Array,
  I8: Int8Array,
  BOOL: Uint8Array,
};

/** An open safetensors file (https://github.com/huggingface/safetensors#format): header in memory, tensors read on demand. */
export class SafetensorsFile implements TensorSource {
  readonly path: string;
  readonly metadata: Record<string, string>;
  readonly #file: RandomAccessFile;
  readonly #tensors: Map<string, SafetensorsEntry>;

  private constructor(
    file: RandomAccessFile,
    metadata: Record<string, string>,
    tensors: Map<string, SafetensorsEntry>,
  ) {
    this.path = file.path;
    this.metadata = metadata;
    this.#file = file;
    this.#tensors = tensors;
  }

  /** Throws GraftError `invalid_safetensors`, which names file and tensor; for the checks see safetensors-header.ts. */
  static async open(path: string): Promise<SafetensorsFile> {
    const file = await RandomAccessFile.open(path);
    try {
      if (file.size < 8) throw new GraftError('invalid_safetensors', `${path}: only ${file.size} bytes long`);
      const length = headerLength(path, await file.read(0, 8), file.size);
      const { metadata, tensors } = parseHeader(path, await file.read(8, length), file.size);
      return new SafetensorsFile(file, metadata, tensors);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  names(): string[] {
    return [...this.#tensors.keys()];
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  info(name: string): TensorInfo {
    const { dtype, shape } = this.#entry(name);
    return { dtype, shape: [...shape] };
  }

  /** Values as stored, in the array type of the tensor's dtype. */
  async read(name: string): Promise<StoredValues> {
    const { dtype, position, bytes } = this.#entry(name);
    const raw = await this.#file.read(position, bytes);
    return new arrays[dtype](raw.buffer);
  }

  async readFloat32(name: string, out?: Float32Array): Promise<Float32Array> {
    const entry = this.#entry(name);
    const values = out ?? new Float32Array(elementCount(entry.shape));
    checkSize(values, entry.shape, { code: 'invalid_safetensors', path: this.path, name });
    return await readInChunks(values, valuesPerChunk, this.#fill(name, entry));
  }

  async readPieces(name: string, take: TakePiece): Promise<void> {
    const entry = this.#entry(name);
    const fill = this.#fill(name, entry);
    const count = elementCount(entry.shape);
    await withBuffers([valuesPerChunk], count, async ([buffer]) => {
      for (let start = 0; start < count; start += valuesPerChunk) {
        const piece = buffer!.subarray(0, Math.min(valuesPerChunk, count - start));
        await fill(start, piece);
        await take(piece);
      }
    });
  }

  async readBfloat16(name: string, out?: Uint16Array): Promise<Uint16Array> {
    const entry = this.#entry(name);
    const values = out ?? new Uint16Array(elementCount(entry.shape));
    checkSize(values, entry.shape, { code: 'invalid_safetensors', path: this.path, name });
    if (entry.dtype !== 'BF16') return await roundToBfloat16(values, valuesPerChunk, this.#fill(name, entry));
    // A view of all bytes could be longer than arrays can be.
    for (let start = 0; start < values.length; start += valuesPerChunk)
      await this.#file.readInto(
        bytesOf(values.subarray(start, start + valuesPerChunk)),
        entry.position + 2 * start,
      );
    return values;
  }

  async readBytes(name: string, start: number, out: Uint8Array): Promise<void> {
    const { dtype, position, bytes } = this.#entry(name);
    if (dtype !== 'U8' || start + out.length > bytes)
      throw new GraftError('invalid_safetensors', `${this.path}: tensor "${name}" has not these bytes`);
    await this.#file.readInto(out, position + start);
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  #entry(name: string): SafetensorsEntry {
    const entry = this.#tensors.get(name);
    if (!entry) throw tensorNotFound(this.path, name);
    return entry;
  }

  /** The function that reads a floating-point tensor's values as float32. */
  #fill(name: string, { dtype, position }: SafetensorsEntry): Fill {
    switch (dtype) {
      case 'F32':
        return (start, target) => this.#file.readInto(bytesOf(target), position + 4 * start);
      case 'F16':
      case 'BF16':
        return async (start, target) => {
          // In the second half of `target`, from where values only move forward: nothing is allocated for each piece.
          const end = target.byteOffset + target.byteLength;
          const bits = new Uint16Array(target.buffer, end - 2 * target.length, target.length);
          await this.#file.readInto(bytesOf(bits), position + 2 * start);
          (dtype === 'F16' ? float16ToFloat32 : fromBfloat16)(bits, target);
        };
      case 'F8_E4M3':
        return async (start, target) => {
          const end = target.byteOffset + target.byteLength;
          const codes = new Uint8Array(target.buffer, end - target.length, target.length);
          await this.#file.readInto(codes, position + start);
          for (let i = 0; i < target.length; i++) target[i] = float8Values[codes[i]!]!;
        };
      case 'F64':
        return async (start, target) => {
          const { buffer } = await this.#file.read(position + 8 * start, 8 * target.length);
          target.set(new Float64Array(buffer));
        };
      default:
        throw new GraftError(
          'unsupported_dtype',
          `${this.path}: tensor "${name}" is stored as ${dtype}; weights must be F64, F32, F16 or BF16`,
        );
    }
  }
}

/** Every tensor of a file as float32, by name. Throws what `readSafetensors` throws, and `unsupported_dtype`. */
export async function readAllTensors(path: string): Promise<Map<string, HostTensor>> {
  const file = await SafetensorsFile.open(path);
  try {
    const tensors = new Map<string, HostTensor>();
    for (const name of file.names())
      tensors.set(name, { shape: file.info(name).shape, data: await file.readFloat32(name) });
    return tensors;
  } finally {
    await file.close();
  }
}

/** Opens a safetensors file; the caller closes it. */
export function readSafetensors(path: string): Promise<SafetensorsFile> {
  return SafetensorsFile.open(path);
}
