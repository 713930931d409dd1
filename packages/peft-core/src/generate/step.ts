import { type Program, type ProgramBuilder, usesGraftKernels } from '@graft/tf-graph';
import { withComputation } from '../nn/computation.ts';
import type { PeftModel } from '../peft-model/peft-model.ts';
import type { AdapterArena } from './adapter-arena.ts';
import { BLOCK } from './block-pool.ts';
import type { LayerCaches } from './cached-attention.ts';
import type { Chosen, TokenAsk } from './card/graph-sampler.ts';
import type { PlacedAdapter } from './update-arena.ts';

/** How much is computed and kept at once. */
export interface ServingLimits {
  /** Positions of a sequence: prompt and answer together. */
  context: number;
  /** Sequences of a step. */
  rows: number;
  /** Memory of the cache of keys and values, which holds one sequence at least. */
  cacheBytes: number;
  /** Memory of the updates of low rank that are applied row by row. */
  updateBytes: number;
  /**
   * On a card: its memory that the generator may take. The cache then has what weights and computing leave of it, and `cacheBytes` and
   * `updateBytes` are the least.
   */
  memoryBytes?: number;
  /** On a card: how the base's matrices are stored. "auto", the default: as bf16. */
  baseDtype?: 'auto' | 'fp32' | 'bf16' | 'int8' | 'nf4';
}

/** Where an encoder-decoder's input lies in the cache, once it is encoded. */
export interface EncodedInput {
  blocks: number[];
  length: number;
}

/** The positions of one sequence that a step computes: at least one. */
export interface Piece {
  ids: readonly number[];
  /** Positions before, which are in the cache. */
  start: number;
  /** Where its positions lie, as far as the last of `ids`. */
  blocks: readonly number[];
  /** Of the row's own updates, on the shared model. */
  updates: PlacedAdapter | null;
  /** Encoder-decoders only. */
  input: EncodedInput | null;
}

/** A step on one model. Functions are traced when they are first needed. */
export interface ModelFunctions {
  /** Takes the pieces into the cache, at most `rows` of them. The hidden states `(H)` after each. */
  compute(pieces: readonly Piece[]): Float32Array[];
  /** Logits `(V)` of hidden states that `compute` gave for these pieces. */
  logits(hidden: readonly Float32Array[], pieces: readonly Piece[]): Float32Array[];
  /** Encoder-decoders only: runs the encoder on `ids`, at most the context; the decoder reads its states in these blocks. */
  encode(ids: readonly number[], blocks: readonly number[]): void;
  /** Writes the adapter's prefix to the first positions of a sequence. */
  prime(blocks: readonly number[]): void;
}

/** A piece, and how the token after it is to be chosen; null where more of the prompt follows. */
export interface AskedPiece extends Piece {
  ask: TokenAsk | null;
}

/** A step on one model of a card, which chooses the tokens itself. */
export interface ChoosingFunctions {
  /** Takes the pieces into the cache, at most `rows` of them. What is chosen after each that asks for it. */
  choose(pieces: readonly AskedPiece[]): (Chosen | null)[];
  /** As that of ModelFunctions. */
  encode(ids: readonly number[], blocks: readonly number[]): void;
  prime(blocks: readonly number[]): void;
}

/** What the functions of a model are made of. */
export interface FunctionParts {
  builder: ProgramBuilder;
  program: Program;
  name: string;
  model: PeftModel;
  caches: LayerCaches;
  limits: ServingLimits;
  arena: AdapterArena | null;
}

/** What is traced in `body` computes each row by itself where kernels can. */
export function asServed<T>(body: () => T): T {
  const byKernels = usesGraftKernels();
  return withComputation({ implementation: byKernels ? 'kernels' : 'stock', rowByRow: byKernels }, body);
}

/** The first `count` rows of the cache that blocks are made of. */
export function rowsOf(blocks: readonly number[], count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, i) => {
    const position = from + i;
    return blocks[Math.floor(position / BLOCK)]! * BLOCK + (position % BLOCK);
  });
}

/** A copy of row `i` of an output `(N, width)`. */
export function rowOf(
  { shape, data }: { shape: number[]; data: ArrayLike<number> },
  i: number,
): Float32Array {
  const width = shape[1]!;
  return (data as Float32Array).slice(i * width, (i + 1) * width);
}

export function joined(rows: readonly Float32Array[], count = rows.length): Float32Array {
  const width = rows[0]!.length;
  const all = new Float32Array(count * width);
  for (const [i, row] of rows.entries()) all.set(row, i * width);
  return all;
}
