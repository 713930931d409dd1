import type { Target } from './limits.ts';

/** Positions in a chunk of the delta rule: transformers' default. */
export const CHUNK = 64;

/** Maximum memory for the tensors of a group of heads in the backward pass of the delta rule, in bytes. */
const GROUP_BYTES = { cpu: 256 << 20, gpu: 1 << 30 };

export interface DeltaShape {
  rows: number;
  /** Positions of a row. */
  tokens: number;
  keyHeads: number;
  valueHeads: number;
  keySize: number;
  valueSize: number;
}

/**
 * The number of groups of heads that are computed one after the other, and the memory of one group in the backward pass. It grows
 * linearly with the positions: for each there are vectors of both sizes and rows of matrices of a chunk, and for each chunk states and
 * the matrices between them.
 */
export function deltaGroups(shape: DeltaShape, target: Target): { groups: number; bytes: number } {
  const { rows, tokens, keyHeads, valueHeads, keySize: K, valueSize: V } = shape;
  const C = Math.min(CHUNK, tokens);
  const betweenChunks = tokens > C ? (4 * K * (K + V)) / C : 0;
  const numbers = 9 * (K + V) + 5 * C + betweenChunks;
  const bytes = 4 * rows * tokens * valueHeads * numbers;
  const divisors = Array.from({ length: keyHeads }, (_, i) => i + 1).filter((n) => keyHeads % n === 0);
  const groups = divisors.find((n) => bytes / n <= GROUP_BYTES[target]) ?? keyHeads;
  return { groups, bytes: bytes / groups };
}

/** `deltaGroups` or `stateSpaceGroups`. */
export const recurrentGroups = (rule: 'delta' | 'state_space') =>
  rule === 'delta' ? deltaGroups : stateSpaceGroups;

/**
 * The same for the state space of Mamba-2, whose heads share their keys: groups of value heads, each of one key head or of several whole
 * ones.
 */
export function stateSpaceGroups(shape: DeltaShape, target: Target): { groups: number; bytes: number } {
  const { rows, tokens, keyHeads, valueHeads, keySize: K, valueSize: V } = shape;
  const C = Math.min(CHUNK, tokens);
  // Gradients of the states between chunks follow those of the matrices of a chunk.
  const betweenChunks = tokens > C ? (5 * K * V) / C : 0;
  const numbers = 7 * V + Math.max(6 * C, betweenChunks);
  const positions = 4 * rows * tokens;
  const bytes = (groups: number) =>
    positions * ((valueHeads / groups) * numbers + Math.max(1, keyHeads / groups) * (4 * K + 2 * C));
  const fitting = Array.from({ length: valueHeads }, (_, i) => i + 1).filter(
    (n) => valueHeads % n === 0 && (n % keyHeads === 0 || keyHeads % n === 0),
  );
  const groups = fitting.find((n) => bytes(n) <= GROUP_BYTES[target]) ?? valueHeads;
  return { groups, bytes: bytes(groups) };
}

/** Chunks whose states the kernel's backward pass computes again at a time: kSpan in native/kernels/delta-rule.h. */
const SPAN = 16;

/** Scratch memory of the kernel's backward pass, in bytes: each thread computes one sequence and key head at a time. */
export function deltaScratch(shape: DeltaShape, threads: number): number {
  const { tokens, keyHeads, valueHeads, keySize: K, valueSize: V } = shape;
  const chunks = Math.ceil(tokens / CHUNK);
  const computed = Math.min(SPAN, chunks);
  const states = (valueHeads / keyHeads) * (Math.ceil(chunks / SPAN) + 1) + computed + 2;
  const numbers = K * V * states + CHUNK * (computed * (V + 2 * K) + 5 * K + 8 * V + 7 * CHUNK);
  return 4 * numbers * threads;
}
