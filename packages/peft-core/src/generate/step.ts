import { type Program, type ProgramBuilder, type tf, usesGraftKernels } from '@graft/tf-graph';
import type { Architecture } from '../models/architecture.ts';
import { withComputation } from '../nn/computation.ts';
import type { PeftModel } from '../peft-model/peft-model.ts';
import type { AdapterArena } from './arenas/adapter-arena.ts';
import type { PlacedAdapter } from './arenas/update-arena.ts';
import { BLOCK } from './block-pool.ts';
import type { LayerCaches } from './cached-attention.ts';
import type { Chosen, TokenAsk } from './card/graph-sampler.ts';
import type { LayerStates, StatePlaces } from './states/recurrent-states.ts';

export interface ServingLimits {
  /** Maximum positions of a sequence: prompt and answer together. */
  context: number;
  /** Maximum number of sequences in a step. */
  rows: number;
  /** Memory for the cache of keys and values, which holds at least one sequence. */
  cacheBytes: number;
  /** Memory for low-rank updates that are applied row by row. */
  updateBytes: number;
  /**
   * On a GPU: memory for the generator. The cache then gets the rest after weights and computation, and `cacheBytes` and
   * `updateBytes` are minimums.
   */
  memoryBytes?: number;
  /** Storage type of the base's matrices. Default "auto": on a GPU bf16; on a CPU bf16 if the model's files hold it, else fp32. */
  baseDtype?: 'auto' | 'fp32' | 'bf16' | 'int8' | 'nf4';
  /**
   * On a CPU: int8 rounds the inputs of products with matrices in int8 and NF4 to 8 bits, where kernels compute; others stay float32.
   * Default "fp32".
   */
  activationDtype?: 'fp32' | 'int8';
}

/** An encoder-decoder's encoded input in the cache. */
export interface EncodedInput {
  blocks: number[];
  length: number;
}

/** The positions of one sequence that a step computes: at least one. */
export interface Piece {
  ids: readonly number[];
  /** Number of positions before, which are in the cache. */
  start: number;
  /** Number of positions of the sequence that are known, including those after `ids`. */
  length: number;
  /** Blocks of the sequence, up to the last of `ids`. */
  blocks: readonly number[];
  /** The row's own updates, on the shared model. */
  updates: PlacedAdapter | null;
  /** First position of the sequence at which the adapter is active. Absent: 0; Infinity: it is at none. */
  activeFrom?: number;
  /** Only for encoder-decoders. */
  input: EncodedInput | null;
  /** Only for models with recurrent layers. */
  state?: StatePlaces | undefined;
}

/** Functions of a step on one model, traced on first use. */
export interface ModelFunctions {
  /** Computes at most `rows` pieces and writes them to the cache. Returns the hidden state `(H)` after each. */
  compute(pieces: readonly Piece[]): Float32Array[];
  /** Logits `(V)` of hidden states that `compute` returned for these pieces; valid until the next call. */
  logits(hidden: readonly Float32Array[], pieces: readonly Piece[]): Float32Array[];
  /** Only for encoder-decoders: runs the encoder on `ids`, at most the context, and stores its states for the decoder in these blocks. */
  encode(ids: readonly number[], blocks: readonly number[]): void;
  /** Writes the adapter's prefix to the first positions of a sequence. */
  prime(blocks: readonly number[]): void;
}

/** A piece, and how to choose the token after it; null if more of the prompt follows. */
export interface PieceToSample extends Piece {
  ask: TokenAsk | null;
}

/** Functions of a step on one model on a GPU, which choose the tokens themselves. */
export interface ChoosingFunctions {
  /** Number of logits. */
  vocabulary: number;
  /** Computes at most `rows` pieces and writes them to the cache. Returns the chosen token after each piece with an ask. */
  choose(pieces: readonly PieceToSample[]): (Chosen | null)[];
  /** As in ModelFunctions. */
  encode(ids: readonly number[], blocks: readonly number[]): void;
  prime(blocks: readonly number[]): void;
}

/** How a program's functions are traced, and how they write to its cache. */
export interface CacheAccess {
  trace<T>(body: () => T): T;
  /** Returns a function that writes a layer's keys and values `(N, kvHeads · D)` to the positions `places` `(N)` int32. */
  writeAt(places: tf.Tensor): (layer: number, keys: tf.Tensor, values: tf.Tensor) => void;
}

/** Components for building the functions of a model. */
export interface ModelParts {
  builder: ProgramBuilder;
  program: Program;
  name: string;
  model: PeftModel;
  limits: ServingLimits;
  cache: CacheAccess;
}

/** Components for building the functions of a model on the CPU. */
export interface FunctionParts extends ModelParts {
  caches: LayerCaches;
  states: ReadonlyMap<number, LayerStates>;
  arena: AdapterArena | null;
}

/** Checks whether a sequence within the limits may be longer than the model's `longOver`, so that its length changes its keys. */
export const readsLengths = ({ longOver }: Architecture, { context }: ServingLimits): boolean =>
  longOver !== undefined && context > longOver;

/** The attention function for heads, which have no attention. */
export function noAttention(): never {
  throw new Error('a head attends to nothing');
}

/** Traces `body` so that each row is computed independently if kernels are available. */
export function traceForServing<T>(
  { activationDtype }: Pick<ServingLimits, 'activationDtype'>,
  body: () => T,
): T {
  const byKernels = usesGraftKernels();
  const roundsInputs = byKernels && activationDtype === 'int8';
  return withComputation(
    { implementation: byKernels ? 'kernels' : 'stock', rowByRow: byKernels, roundsInputs },
    body,
  );
}

/** Cache rows of `count` positions in these blocks, starting at position `from`. */
export function rowsOf(blocks: readonly number[], count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, i) => {
    const position = from + i;
    return blocks[Math.floor(position / BLOCK)]! * BLOCK + (position % BLOCK);
  });
}

/** Row `i` of an output `(N, width)`, not copied. */
export function rowOf(
  { shape, data }: { shape: number[]; data: ArrayLike<number> },
  i: number,
): Float32Array {
  const width = shape[1]!;
  return (data as Float32Array).subarray(i * width, (i + 1) * width);
}

export function concatRows(rows: readonly Float32Array[], count = rows.length): Float32Array {
  const width = rows[0]!.length;
  const all = new Float32Array(count * width);
  for (const [i, row] of rows.entries()) all.set(row, i * width);
  return all;
}
