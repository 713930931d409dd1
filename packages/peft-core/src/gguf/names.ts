import type { GgufFamily } from '../outlines/gguf/gguf-family.ts';
import type { ModelOutline } from '../outlines/outline.ts';
import type { StackedNames } from '../tensors/stacked-tensors.ts';

/** A part of a model in a GGUF file: `attn_q` with the kind `weight`. */
export interface NamedPart {
  part: string;
  kind: string;
}

/**
 * Hugging Face name of a tensor, e.g. `blk.3.attn_q.weight` → `model.layers.3.self_attn.q_proj.weight`, and its part;
 * null if unknown.
 */
export function readName(
  { blocks, blockParts, otherParts, bareParts }: GgufFamily,
  ggufName: string,
): (NamedPart & { name: string }) | null {
  const match = /^(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)$/.exec(ggufName);
  if (!match) return null;
  const [, layer, part, kind] = match as unknown as [string, string | undefined, string, string];
  const parts = layer === undefined ? otherParts : blockParts;
  if (!Object.hasOwn(parts, part)) return null;
  const end = layer !== undefined && bareParts?.includes(part) ? '' : `.${kind}`;
  return { name: `${layer === undefined ? '' : `${blocks}.${layer}.`}${parts[part]}${end}`, part, kind };
}

/** A tensor of a GGUF file that holds a parameter of a model, or some of the rows of each expert's matrix. */
export interface WrittenName extends NamedPart {
  ggufName: string;
  /** The tensor's part of each expert's rows. Absent: the whole parameter. */
  rows?: ExpertRows;
}

/** Those of the part `index` of `count` equal parts: each `count`-th row if they alternate, or else rows that follow one another. */
export interface ExpertRows {
  index: number;
  count: number;
  alternating: boolean;
}

/** The places of the rows of a part within the `rows` of an expert: row i is at `first + i · step`. */
export function rowPlaces({ index, count, alternating }: ExpertRows, rows: number) {
  return { first: alternating ? index : (index * rows) / count, step: alternating ? count : 1 };
}

/** The inverse of `readName`: the tensors of the parameter `name` of a model. None if llama.cpp knows no such parameter. */
export function writtenNames(family: GgufFamily, outline: ModelOutline, name: string): WrittenName[] {
  const plain = nameOfText(outline, name);
  const stacked = stackOf(family.expertTensors ?? {}, plain);
  if (!stacked) {
    const one = writtenName(family, plain);
    return one ? [one] : [];
  }
  const [start, parts] = stacked;
  const alternating = family.alternatingExperts ?? false;
  return parts.flatMap((part, index) => {
    const one = writtenName(family, start + part);
    return one ? [{ ...one, rows: { index, count: parts.length, alternating } }] : [];
  });
}

/** The name in a model of text alone, of a parameter of a model of several parts. */
function nameOfText({ textModule, optionalPrefix }: ModelOutline, name: string): string {
  const prefix = `${optionalPrefix}${textModule}.`;
  return textModule && name.startsWith(prefix) ? optionalPrefix + name.slice(prefix.length) : name;
}

function stackOf(stacks: StackedNames, name: string): [start: string, parts: readonly string[]] | null {
  for (const [end, parts] of Object.entries(stacks))
    if (name.endsWith(`.${end}`)) return [name.slice(0, name.length - end.length), parts];
  return null;
}

function writtenName(family: GgufFamily, given: string): WrittenName | null {
  const { blocks, blockParts, otherParts, bareParts = [] } = family;
  const isBare = bareParts.some((part) => given.endsWith(`.${blockParts[part]}`));
  const name = isBare ? `${given}.weight` : given;
  const match = /^(.*)\.(weight|bias)$/.exec(name);
  if (!match) return null;
  const [, path, kind] = match as unknown as [string, string, string];
  const layer = path.startsWith(`${blocks}.`) ? /^\d+(?=\.)/.exec(path.slice(blocks.length + 1)) : null;
  const inBlock = layer ? path.slice(blocks.length + 2 + layer[0].length) : path;
  const parts = Object.entries(layer ? blockParts : otherParts);
  const part = parts.find(([, known]) => known === inBlock)?.[0];
  if (part === undefined) return null;
  return { ggufName: `${layer ? `blk.${layer[0]}.` : ''}${part}.${kind}`, part, kind };
}

/** How a tensor's layout in GGUF files differs from Hugging Face's. */
export interface TensorLayout {
  /** The rows of this many heads are interleaved, or the matrix is transposed. */
  rearranged: { heads: number } | 'transposed' | null;
  /** Number added to every value in files. */
  shift: number;
}

/** `heads`: the number of heads of queries or of keys. */
export function layoutOf(
  { transposed, interleaved, shiftedNorms }: GgufFamily,
  { part, kind }: NamedPart,
  heads: (part: 'attn_q' | 'attn_k') => number,
): TensorLayout {
  const shift = shiftedNorms && part.endsWith('norm') ? 1 : 0;
  if (transposed?.includes(part) && kind === 'weight') return { rearranged: 'transposed', shift };
  if (interleaved && (part === 'attn_q' || part === 'attn_k'))
    return { rearranged: { heads: heads(part) }, shift };
  return { rearranged: null, shift };
}

/**
 * The row of the Hugging Face tensor for row `row` of the file. Hugging Face's RoPE rotates value i with value
 * i + D/2 of a head of D values; llama.cpp's rotates neighbouring values, so its converter interleaves the two halves.
 */
export function restoredRow(row: number, headSize: number): number {
  const within = row % headSize;
  return row - within + (within % 2) * (headSize / 2) + (within >> 1);
}
