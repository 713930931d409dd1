import { toBfloat16 } from '@graft/tf-graph/bfloat16';
import { GraftError } from '../errors.ts';
import type { Family, GgufFamily } from '../outlines/family.ts';
import {
  elementCount,
  roundToBfloat16,
  type TensorInfo,
  type TensorSource,
  tensorNotFound,
  valuesPerChunk,
} from '../tensors/tensor-source.ts';
import { dequantize } from './dequantize.ts';
import type { GgufFile, GgufTensor } from './gguf.ts';
import { type GgufType, ggufTypes, isGgufType } from './types.ts';

/** Tensors of GGUF whose content Hugging Face keeps in config.json. */
const notWeights = new Set(['rope_freqs.weight']);

/** How the file's layout differs from Hugging Face's: the rows of so many heads are interleaved, or the matrix is transposed. */
type Rearranged = { heads: number } | 'transposed' | null;

interface NamedTensor {
  ggufName: string;
  tensor: GgufTensor;
  rearranged: Rearranged;
}

/**
 * Hugging Face name of a tensor, e.g. `blk.3.attn_q.weight` → `model.layers.3.self_attn.q_proj.weight`, and the part that
 * it belongs to; null if unknown.
 */
function named(
  { blocks, blockParts, otherParts }: GgufFamily,
  ggufName: string,
): { name: string; part: string; kind: string } | null {
  const match = /^(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)$/.exec(ggufName);
  if (!match) return null;
  const [, layer, part, kind] = match as unknown as [string, string | undefined, string, string];
  const parts = layer === undefined ? otherParts : blockParts;
  if (!Object.hasOwn(parts, part)) return null;
  return { name: `${layer === undefined ? '' : `${blocks}.${layer}.`}${parts[part]}.${kind}`, part, kind };
}

/**
 * Row of the Hugging Face tensor at which row `row` of the file belongs. Hugging Face's rope turns value i with value
 * i + D/2 of a head of D values; llama.cpp's turns neighbours, so its converter interleaves the two halves.
 */
function restoredRow(row: number, headSize: number): number {
  const within = row % headSize;
  return row - within + (within % 2) * (headSize / 2) + (within >> 1);
}

/** The weights of an open GGUF file under Hugging Face names and in Hugging Face layout, unpacked as they are read. */
export class GgufTensors implements TensorSource {
  readonly #gguf: GgufFile;
  /** By Hugging Face name. */
  readonly #tensors = new Map<string, NamedTensor>();

  /** Throws GraftError `unsupported_model` for a tensor of no known name, `unsupported_dtype` for one of no known type. */
  constructor(gguf: GgufFile, { modelType, gguf: family }: Family & { gguf: GgufFamily }) {
    this.#gguf = gguf;
    const path = gguf.file.path;
    for (const [ggufName, tensor] of gguf.tensors) {
      if (notWeights.has(ggufName)) continue;
      const known = named(family, ggufName);
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
      const { name, part, kind } = known;
      let rearranged: Rearranged = null;
      if (family.transposed?.includes(part) && kind === 'weight') rearranged = 'transposed';
      if (family.interleaved && (part === 'attn_q' || part === 'attn_k')) {
        const count = headsOf(gguf, family.architecture, part);
        if ((tensor.shape[0] ?? 0) % (2 * count) !== 0)
          throw new GraftError(
            'invalid_gguf',
            `${path}: ${tensor.shape[0]} rows of "${ggufName}" do not split into ${count} heads`,
          );
        rearranged = { heads: count };
      }
      this.#tensors.set(name, { ggufName, tensor, rearranged });
    }
  }

  names(): string[] {
    return [...this.#tensors.keys()];
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  info(name: string): TensorInfo {
    const { tensor, rearranged } = this.#entry(name);
    const { dtype, shape } = tensor;
    return { dtype, shape: rearranged === 'transposed' ? [...shape].reverse() : [...shape] };
  }

  async readFloat32(name: string): Promise<Float32Array> {
    const { tensor, rearranged } = this.#entry(name);
    const out = new Float32Array(elementCount(tensor.shape));
    const chunk = chunkSize(tensor);
    for (let start = 0; start < out.length; start += chunk) {
      await this.#unpack(tensor, start, out.subarray(start, start + chunk));
    }
    if (rearranged === null) return out;
    return rearranged === 'transposed'
      ? transposed(out, tensor.shape)
      : restoreRows(out, tensor.shape, rearranged.heads);
  }

  async readBfloat16(name: string): Promise<Uint16Array> {
    const { tensor, rearranged } = this.#entry(name);
    if (rearranged !== null) return toBfloat16(await this.readFloat32(name));
    return roundToBfloat16(elementCount(tensor.shape), chunkSize(tensor), (start, target) =>
      this.#unpack(tensor, start, target),
    );
  }

  #entry(name: string) {
    const entry = this.#tensors.get(name);
    if (!entry) throw tensorNotFound(this.#gguf.file.path, name);
    return entry;
  }

  /** Unpacks values `[start, start + target.length)`, both at block boundaries. */
  async #unpack(tensor: GgufTensor, start: number, target: Float32Array): Promise<void> {
    const type = tensor.dtype as GgufType;
    const { values, bytes } = ggufTypes[type];
    const raw = await this.#gguf.file.read(
      tensor.position + (start / values) * bytes,
      (target.length / values) * bytes,
    );
    dequantize(type, raw, target);
  }
}

function headsOf({ metadata }: GgufFile, architecture: string, part: 'attn_q' | 'attn_k'): number {
  const key = `${architecture}.attention.head_count`;
  const heads = metadata.required(key, metadata.count(key));
  return part === 'attn_q' ? heads : (metadata.count(`${key}_kv`) ?? heads);
}

/** About `valuesPerChunk` values, in whole blocks. */
function chunkSize({ dtype }: GgufTensor): number {
  const { values } = ggufTypes[dtype as GgufType];
  return Math.floor(valuesPerChunk / values) * values;
}

function restoreRows(values: Float32Array, shape: number[], heads: number): Float32Array {
  const rows = shape[0] ?? 1;
  const width = values.length / rows;
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    out.set(values.subarray(row * width, (row + 1) * width), restoredRow(row, rows / heads) * width);
  }
  return out;
}

/** A matrix `(rows, columns)` as `(columns, rows)`. */
function transposed(values: Float32Array, shape: number[]): Float32Array {
  const [rows = 1, columns = 1] = shape;
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      out[column * rows + row] = values[row * columns + column]!;
  return out;
}

/** Values of one tensor by its GGUF name, as stored; null when the file has no such tensor. */
export async function readGgufTensor(gguf: GgufFile, name: string): Promise<Float32Array | null> {
  const tensor = gguf.tensors.get(name);
  if (!tensor) return null;
  if (!isGgufType(tensor.dtype) || tensor.bytes === null) {
    throw new GraftError(
      'unsupported_dtype',
      `${gguf.file.path}: tensor "${name}" is stored as ${tensor.dtype}`,
    );
  }
  const out = new Float32Array(elementCount(tensor.shape));
  dequantize(tensor.dtype, await gguf.file.read(tensor.position, tensor.bytes), out);
  return out;
}
