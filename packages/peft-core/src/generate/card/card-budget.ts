import { GraftError } from '../../errors.ts';
import type { Architecture } from '../../models/architecture.ts';
import { attentionOf } from '../../outlines/outline.ts';
import { elementCount } from '../../tensors/tensor-source.ts';
import {
  type BaseStorage,
  baseStorage,
  NF4_TABLE,
  partsOf,
  storedWeights,
} from '../../weights/base-storage.ts';
import { BLOCK, RESERVED } from '../block-pool.ts';
import { bytesOfSequence, sequencesWithState } from '../states/recurrent-states.ts';
import type { ServingLimits } from '../step.ts';
import { MAX_BYTES } from './card-attention.ts';
import { bytesOfPosition } from './card-cache.ts';
import { PART, PROMPT_POSITIONS } from './card-functions.ts';
import { bytesOfLane } from './lane-arena.ts';

export interface CardBudget {
  /** Number of blocks of keys and values, without the reserved ones. */
  blocks: number;
  updateBytes: number;
  /** Number of sequences in a step, each with its state in recurrent layers. */
  sequences: number;
}

/** Maximum capacity of the cache in contexts per row; it also holds the prefixes of finished prompts. */
const MAX_CONTEXTS = 4;

/** Share of GPU memory that the allocator loses to fragmentation. */
const LOST = 0.05;

/**
 * Divides `limits.memoryBytes` among the parts of a generator: first weights and the memory of a step, then a twelfth of the rest for
 * adapters, and the remainder for the cache; `updateBytes` and `cacheBytes` are minimums. Without `memoryBytes` they are the sizes.
 * Throws `model_too_large` if one context does not fit.
 */
export function cardBudget(
  architecture: Architecture,
  limits: ServingLimits,
  storage: BaseStorage,
): CardBudget {
  const dtype = storage === 'float32' ? 'float32' : 'bfloat16';
  const inSequence = Math.ceil(limits.context / BLOCK) * (architecture.encoder ? 2 : 1);
  const bytesOfBlock = BLOCK * bytesOfPosition(architecture, dtype);
  if (limits.memoryBytes === undefined) {
    const affordable = Math.floor(limits.cacheBytes / bytesOfBlock);
    const blocks = Math.max(inSequence, Math.min(affordable, inSequence * limits.rows));
    return { blocks, updateBytes: limits.updateBytes, sequences: sequencesWithState(architecture, limits) };
  }
  const weights = weightBytes(architecture, storage);
  const computing = workspaceBytes(architecture, limits, storage);
  const free = Math.floor(limits.memoryBytes * (1 - LOST)) - weights - computing;
  const lane = bytesOfLane(architecture, dtype);
  const updateBytes = architecture.encoder ? 0 : Math.max(limits.updateBytes, Math.floor(free / 12));
  // A third of the rest for states, and the remainder for keys and values.
  const stateBytes = Math.floor((free - updateBytes) / 3);
  const sequences = sequencesWithState(architecture, { rows: limits.rows, cacheBytes: stateBytes });
  const states = bytesOfSequence(architecture) * sequences;
  const affordable = Math.floor((free - updateBytes - states) / bytesOfBlock) - RESERVED.count;
  if (affordable < inSequence) {
    const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
    throw new GraftError(
      'model_too_large',
      `the model needs ${gigabytes(weights)} for its weights as ${storage}, ${gigabytes(computing)} to compute with, and ${gigabytes(bytesOfBlock * inSequence)} for one context, and the card has ${gigabytes(limits.memoryBytes)} for it; serve it as int8 or nf4 (GRAFT_SERVER_BASE_DTYPE), or on a larger card`,
      { param: 'model', fault: 'environment' },
    );
  }
  const blocks = Math.min(affordable, inSequence * limits.rows * MAX_CONTEXTS);
  return { blocks, updateBytes: Math.floor(updateBytes / lane) * lane, sequences };
}

/**
 * Storage type of the base on a GPU: `limits.baseDtype`; with "auto" bfloat16, or if that does not fit, the storage type with which the
 * requested adapter was trained. Throws `model_too_large`.
 */
export function cardStorage(
  architecture: Architecture,
  limits: ServingLimits,
  trainedOn: 'int8' | 'nf4' | null,
): BaseStorage {
  const { baseDtype = 'auto' } = limits;
  const wanted = baseStorage(baseDtype, 'bf16');
  try {
    cardBudget(architecture, limits, wanted);
    return wanted;
  } catch (error) {
    if (baseDtype !== 'auto' || trainedOn === null) throw error;
    cardBudget(architecture, limits, trainedOn);
    return trainedOn;
  }
}

export function weightBytes(architecture: Architecture, storage: BaseStorage): number {
  const size = { float32: 4, bfloat16: 2, int8: 1, uint8: 1 } as Record<string, number>;
  const parts = storedWeights(architecture, storage, true).flatMap(partsOf);
  const table = storage === 'nf4' ? 4 * elementCount(NF4_TABLE.shape) : 0;
  return parts.reduce((sum, { shape, dtype }) => sum + elementCount(shape) * size[dtype]!, table);
}

/** Bytes per weight while it is unpacked: codes, their values, the product with the scales, and the factor of the matrix product. */
const UNPACKED = 12;
/** Number of a head's weights unpacked at once, as in weights/weight-forms.ts on a GPU. */
const HEAD_SLICE = 64 << 20;

/**
 * Bytes that the largest step computes with: the activations of a run of prompts; one part of attention (mask, keys and values, four times
 * the scores); the largest weight unpacked; and logits in double precision, of which sampling needs about six copies.
 */
export function workspaceBytes(
  architecture: Architecture,
  { rows, context }: ServingLimits,
  storage: BaseStorage,
): number {
  const { hiddenSize, heads, vocabularySize, modules, layers } = architecture;
  const headSizes = Array.from({ length: layers }, (_, layer) => attentionOf(architecture, layer).headSize);
  const headSize = Math.max(...headSizes);
  const linear = modules.filter(({ kind }) => kind === 'linear');
  const widest = Math.max(...linear.filter(({ out }) => out !== vocabularySize).map(({ out }) => out!));
  const isHead = (out: number | undefined) => out === vocabularySize;
  const largest = (of: typeof linear) => Math.max(0, ...of.map((module) => module.in! * module.out!));
  const inner = largest(linear.filter(({ out }) => !isHead(out)));
  const head = largest(linear.filter(({ out }) => isHead(out)));
  const activations = PROMPT_POSITIONS * 4 * (6 * hiddenSize + 4 * heads * headSize + 4 * widest);
  const mask = 2 * 4 * PROMPT_POSITIONS * context;
  const scores = 4 * Math.max(MAX_BYTES.scores, 4 * heads * PART * context);
  const attention = mask + 2 * MAX_BYTES.keys + scores;
  const isPacked = storage === 'int8' || storage === 'nf4';
  const unpacked = isPacked ? UNPACKED * Math.max(inner, Math.min(head, HEAD_SLICE)) : 0;
  const logits = rows * vocabularySize * (8 * 6 + 4 * 4);
  return activations + attention + unpacked + logits;
}
