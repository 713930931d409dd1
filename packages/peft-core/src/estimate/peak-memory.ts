import { elementCount } from '../tensors/tensor-source.ts';
import { methodOf } from '../tuners/methods.ts';
import { NF4_TABLE, partsOf, storedWeights } from '../weights/base-storage.ts';
import { blockCount, blockNumbers, headNumbers } from './block-numbers.ts';
import type { JobParts } from './job-parts.ts';

const MB = 1e6;
/** Bytes of a number that is computed with. */
const FLOAT = 4;

/** What the trainer's process holds before there is a model: Node, TensorFlow's library. Measured by bench/estimates. */
const ENGINE = 450 * MB;
/** The traced graph of a block, and what was garbage while it was made: measured. */
const BLOCK_GRAPH = 5 * MB;
/** What a block has more where its matrices are not kept in float32, and are widened or unpacked where they are read: measured. */
const BLOCK_UNPACKED = 3.3 * MB;
/** What the allocator holds beyond what is asked of it, as a share of what lives through a step: measured. */
const SLACK = 1.16;
/** Rows of logits that exist at a time; nn/cross-entropy.ts. */
const HEAD_ROWS = 256;

const bytesOf: Record<string, number> = { float32: 4, bfloat16: 2, int8: 1, uint8: 1 };

/** The most that the trainer's process holds at once while it trains, in bytes. */
export function peakMemory(parts: JobParts): number {
  const { kept, largest } = weightBytes(parts);
  const graph = blockCount(parts.model) * (BLOCK_GRAPH + (parts.storage === 'float32' ? 0 : BLOCK_UNPACKED));
  // The gradient, Adam's two, the values, and as many again while a step replaces them.
  const adapter = 8 * FLOAT * parts.trainedParameters;
  return ENGINE + graph + kept + largest + adapter + SLACK * activationBytes(parts);
}

/** What an adapter holds that waits beside the one that is trained: its graph, values and Adam's two. */
export function waitingMemory({
  model,
  trainedParameters,
}: Pick<JobParts, 'model' | 'trainedParameters'>): number {
  return blockCount(model) * BLOCK_GRAPH + 3 * FLOAT * trainedParameters;
}

/** The frozen weights as they are kept; and the largest of them as it is read, in float32. */
function weightBytes({ model, storage }: Pick<JobParts, 'model' | 'storage'>) {
  let kept = storage === 'nf4' ? FLOAT * elementCount(NF4_TABLE.shape) : 0;
  let largest = 0;
  for (const weight of storedWeights(model, storage, false)) {
    for (const { shape, dtype } of partsOf(weight)) kept += bytesOf[dtype]! * elementCount(shape);
    largest = Math.max(largest, FLOAT * elementCount(weight.shape));
  }
  return { kept, largest };
}

/** What a step keeps for its backward pass, and the most that one part of it needs besides. */
function activationBytes(parts: JobParts): number {
  const { model, peft, training, lowestTrained } = parts;
  const { shape } = parts.batches;
  const blocks = blockNumbers(model, shape);
  const trained = blocks.slice(lowestTrained);
  const recomputes = training.gradient_checkpointing;
  const kept = trained.reduce(
    (sum, block) => sum + (recomputes ? block.positions * model.hiddenSize : block.kept),
    0,
  );
  const added =
    (methodOf(peft).keptNumbers?.(peft, model) ?? 0) * Math.max(...blocks.map(({ positions }) => positions));
  const within = blocks.map(
    (block) => Math.max(8 * block.scores, 4 * block.widest) + (recomputes ? 3 * block.kept : 0),
  );
  const head = headNumbers(model, shape);
  const logits = head ? 3 * Math.min(head.labels, HEAD_ROWS) * head.vocabularySize : 0;
  return FLOAT * (kept + (recomputes ? added / blocks.length : added) + Math.max(logits, ...within));
}
