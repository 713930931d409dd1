import { toBfloat16 } from '@graft/tf-graph/bfloat16';
import { GraftError } from '../errors.ts';
import type { Family } from '../outlines/family.ts';
import type { GgufFamily } from '../outlines/gguf/gguf-family.ts';
import {
  checkSize,
  elementCount,
  type TakePiece,
  type TensorInfo,
  type TensorSource,
  tensorNotFound,
  valuesPerChunk,
  withBuffers,
} from '../tensors/tensor-source.ts';
import { transpose } from '../tensors/transpose.ts';
import { dequantize } from './dequantize.ts';
import type { GgufFile, GgufTensor } from './gguf.ts';
import { layoutOf, readName, restoredRow, type TensorLayout } from './names.ts';
import { ropeFactorNames } from './rope-fields.ts';
import { type GgufType, ggufTypes, isGgufType } from './types.ts';

/** Tensors of GGUF whose content is in Hugging Face's config.json. */
const notWeights = new Set<string>(Object.values(ropeFactorNames));

interface NamedTensor {
  ggufName: string;
  tensor: GgufTensor;
  layout: TensorLayout;
}

/** The weights of an open GGUF file with Hugging Face names and layout, unpacked when they are read. */
export class GgufTensors implements TensorSource {
  readonly #gguf: GgufFile;
  /** By Hugging Face name. */
  readonly #tensors = new Map<string, NamedTensor>();

  /** Throws GraftError `unsupported_model` for a tensor with an unknown name, `unsupported_dtype` for an unknown type. */
  constructor(gguf: GgufFile, { modelType, gguf: family }: Family & { gguf: GgufFamily }) {
    this.#gguf = gguf;
    const path = gguf.file.path;
    for (const [ggufName, tensor] of gguf.tensors) {
      if (notWeights.has(ggufName)) continue;
      const known = readName(family, ggufName);
      if (!known)
        throw new GraftError(
          'unsupported_model',
          `${path}: tensor "${ggufName}" is not one of the ${modelType} architecture`,
        );
      if (!isGgufType(tensor.dtype)) {
        const known = Object.keys(ggufTypes).join(', ');
        throw new GraftError(
          'unsupported_dtype',
          `${path}: tensor "${ggufName}" is stored as ${tensor.dtype}; supported: ${known}`,
        );
      }
      const layout = layoutOf(family, known, (part) => headsOf(gguf, family.architecture, part));
      const { rearranged } = layout;
      if (rearranged && rearranged !== 'transposed' && (tensor.shape[0] ?? 0) % (2 * rearranged.heads) !== 0)
        throw new GraftError(
          'invalid_gguf',
          `${path}: ${tensor.shape[0]} rows of "${ggufName}" do not split into ${rearranged.heads} heads`,
        );
      this.#tensors.set(known.name, { ggufName, tensor, layout });
    }
  }

  names(): string[] {
    return [...this.#tensors.keys()];
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  info(name: string): TensorInfo {
    const { tensor, layout } = this.#entry(name);
    const { dtype, shape } = tensor;
    return { dtype, shape: layout.rearranged === 'transposed' ? [...shape].reverse() : [...shape] };
  }

  async readFloat32(name: string, out?: Float32Array): Promise<Float32Array> {
    const values = out ?? new Float32Array(this.#count(name));
    await this.#read(name, values, (piece, start) => values.set(piece, start));
    return values;
  }

  async readPieces(name: string, take: TakePiece): Promise<void> {
    await this.#read(name, { length: this.#count(name) }, take);
  }

  async readBfloat16(name: string, out?: Uint16Array): Promise<Uint16Array> {
    const values = out ?? new Uint16Array(this.#count(name));
    await this.#read(name, values, (piece, start) => {
      toBfloat16(piece, values.subarray(start, start + piece.length));
    });
    return values;
  }

  #count(name: string): number {
    return elementCount(this.#entry(name).tensor.shape);
  }

  /** Calls `take` with the tensor's values in Hugging Face's layout, piece by piece; each piece starts at value `start`. */
  async #read(
    name: string,
    out: { length: number },
    take: (piece: Float32Array, start: number) => void | Promise<void>,
  ): Promise<void> {
    const { tensor, layout } = this.#entry(name);
    const { rearranged, shift } = layout;
    const { shape, position } = tensor;
    checkSize(out, shape, { code: 'invalid_gguf', path: this.#gguf.file.path, name });
    const type = tensor.dtype as GgufType;
    const { values, bytes } = ggufTypes[type];
    const count = elementCount(shape);
    const bytesOf = (many: number) => (many / values) * bytes;
    // Rows move only within a piece, and a chunk consists of whole pieces.
    const { unit, rearrange } = rearrangement(rearranged, shape, values);
    const pieceSize = wholeUnits(unit, valuesPerPiece);
    const chunkSize = wholeUnits(pieceSize, valuesPerChunk);
    await withBuffers([chunkSize, pieceSize, pieceSize], count, async ([rawBuffer, from, to]) => {
      for (let start = 0; start < count; start += chunkSize) {
        const chunk = Math.min(chunkSize, count - start);
        const raw = new Uint8Array(rawBuffer!.buffer, rawBuffer!.byteOffset, bytesOf(chunk));
        await this.#gguf.file.readInto(raw, position + bytesOf(start));
        for (let at = 0; at < chunk; at += pieceSize) {
          const piece = from!.subarray(0, Math.min(pieceSize, chunk - at));
          dequantize(type, raw.subarray(bytesOf(at), bytesOf(at + piece.length)), piece);
          if (shift !== 0) for (let i = 0; i < piece.length; i++) piece[i]! -= shift;
          if (rearrange) rearrange(piece, to!);
          // Waits only for what is not there yet: a model has many pieces.
          const taken = take(rearrange ? to!.subarray(0, piece.length) : piece, start + at);
          if (taken) await taken;
        }
      }
    });
  }

  #entry(name: string) {
    const entry = this.#tensors.get(name);
    if (!entry) throw tensorNotFound(this.#gguf.file.path, name);
    return entry;
  }
}

function headsOf({ metadata }: GgufFile, architecture: string, part: 'attn_q' | 'attn_k'): number {
  const key = `${architecture}.attention.head_count`;
  const heads = metadata.required(key, metadata.count(key));
  return part === 'attn_q' ? heads : (metadata.count(`${key}_kv`) ?? heads);
}

/** Values unpacked at a time: they stay in a core's own cache until they are copied to their final place. */
const valuesPerPiece = 1 << 15;

/** The largest multiple of `unit` that is at most `values`, and at least one unit. */
const wholeUnits = (unit: number, values: number) => Math.max(1, Math.floor(values / unit)) * unit;

/** The smallest number of values that can be rearranged separately, and the function that does it; without one, a packed block. */
function rearrangement(
  rearranged: TensorLayout['rearranged'],
  shape: number[],
  block: number,
): { unit: number; rearrange: ((from: Float32Array, to: Float32Array) => void) | null } {
  const count = elementCount(shape);
  if (rearranged === null) return { unit: block, rearrange: null };
  if (rearranged === 'transposed')
    return { unit: count, rearrange: (from, to) => transpose(from, shape, to) };
  const rows = (shape[0] ?? 1) / rearranged.heads;
  const unit = count / rearranged.heads;
  return { unit, rearrange: (from, to) => restoreRows(from, { width: unit / rows, rows }, to) };
}

/** Moves the rows of whole heads, of `rows` rows each, to their places in Hugging Face's layout. */
function restoreRows(
  from: Float32Array,
  { width, rows }: { width: number; rows: number },
  to: Float32Array,
): void {
  for (let row = 0; row * width < from.length; row++)
    to.set(from.subarray(row * width, (row + 1) * width), restoredRow(row, rows) * width);
}

/** Values of one tensor by its GGUF name, as stored; null if the file has no such tensor. Reads at most `most` values. */
export async function readGgufTensor(
  gguf: GgufFile,
  name: string,
  most: number,
): Promise<Float32Array | null> {
  const tensor = gguf.tensors.get(name);
  if (!tensor) return null;
  const count = elementCount(tensor.shape);
  if (count > most) {
    throw new GraftError(
      'invalid_gguf',
      `${gguf.file.path}: tensor "${name}" has ${count} values; at most ${most} are read`,
    );
  }
  if (!isGgufType(tensor.dtype) || tensor.bytes === null) {
    throw new GraftError(
      'unsupported_dtype',
      `${gguf.file.path}: tensor "${name}" is stored as ${tensor.dtype}`,
    );
  }
  const out = new Float32Array(count);
  dequantize(tensor.dtype, await gguf.file.read(tensor.position, tensor.bytes), out);
  return out;
}
