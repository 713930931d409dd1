// Memory of a step with TensorFlow's own operations, derived from the graph of a step: train/machine/stock-memory.test.ts compares it
// with a walk over such graphs, which train/machine/live-memory.test.ts compares with TensorFlow's allocator.

import { recurrentGroups } from '../block-sizes/delta-groups.ts';
import { headRows } from '../block-sizes/limits.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import { methodOf } from '../tuners/methods.ts';
import { SLICE_BYTES, storedWeights } from '../weights/base-storage.ts';
import { type BlockNumbers, blockNumbers, headNumbers, sharedNumbers } from './block-numbers.ts';
import type { JobParts } from './job-parts.ts';
import { scoreBlock } from './score-blocks.ts';

/** Bytes of a number in computations. */
const FLOAT = 4;

/** Bytes of a number in activations between products: on a GPU as in the products' factors, else float32. */
const flowBytes = ({ device, precision }: JobParts): number =>
  device === 'gpu' && precision === 'bf16' ? FLOAT / 2 : FLOAT;

/** Bytes of a number in a factor of a product. */
const factorBytes = ({ precision }: JobParts): number => (precision === 'bf16' ? FLOAT / 2 : FLOAT);

/** Peak memory of a step's function besides variables, in bytes. */
export function stockStepBytes(parts: JobParts): number {
  const { model, training, vectorLength, lowestTrained } = parts;
  const { shape, attended } = parts.batches;
  const blocks = blockNumbers(model, shape, attended);
  const trained = blocks.slice(lowestTrained);
  const added = methodBytes(parts, blocks);
  const recomputes = training.gradient_checkpointing;
  const keptBy = (block: BlockNumbers) =>
    recomputes ? keptOfRecomputed(parts, block) : keptOfBlock(parts, block) + added;
  const inputs = FLOAT * sharedNumbers(model, blocks[0]!.positions);
  const kept = inputs + trained.reduce((sum, block) => sum + keptBy(block), 0);
  // The adapter's factors are converted once, for the forward and the backward pass.
  const factors = parts.precision === 'bf16' ? factorBytes(parts) * vectorLength : 0;
  const gradients = FLOAT * vectorLength;
  const within = Math.max(...blocks.map((block) => backwardBytes(parts, block, added)));
  return Math.max(
    Math.max(kept + factors, gradients) + within + maskBytes(parts, blocks),
    kept + factors + headBytes(parts),
    // The gradients as one vector, the scaled gradients, and the update.
    3 * gradients,
  );
}

function methodBytes({ model, peft }: JobParts, blocks: readonly BlockNumbers[]): number {
  const numbers = methodOf(peft).keptNumbers?.(peft, model) ?? 0;
  return (FLOAT * numbers * Math.max(...blocks.map(({ positions }) => positions))) / blocks.length;
}

const scoresOf = ({ device }: JobParts, { own, queries }: BlockNumbers) => scoreBlock(own, queries, device);

/** Memory that a block stores for its backward pass. Attention in blocks stores its output twice: also as input of the next module. */
function keptOfBlock(parts: JobParts, block: BlockNumbers): number {
  const flow = flowBytes(parts);
  const attention =
    block.recurrent?.kept ??
    2 * block.queries + 2 * block.keys + (scoresOf(parts, block).inBlocks ? block.queries : 0);
  return FLOAT * block.stream + flow * (attention + block.inner + block.normed);
}

/** The block's input, and the output of attention in blocks. */
function keptOfRecomputed(parts: JobParts, block: BlockNumbers): number {
  const input = FLOAT * block.positions * parts.model.hiddenSize;
  if (block.recurrent) return input + flowBytes(parts) * block.recurrent.output;
  return input + (scoresOf(parts, block).inBlocks ? flowBytes(parts) * block.queries : 0);
}

/**
 * Number of float32 tensors between the modules of a feed-forward network, each of one module's width, that exist at once in its
 * backward pass: with a gate, with a gate and narrow activations, and without a gate.
 */
const WIDE = { gated: 6, narrow: 5, plain: 6 };

/** Peak memory of a block's backward pass, besides what all blocks store, minus what the block itself has released by then. */
function backwardBytes(parts: JobParts, block: BlockNumbers, added: number): number {
  const { model, training } = parts;
  const flow = flowBytes(parts);
  const numbers = block.positions * model.hiddenSize;
  // The incoming and outgoing gradients, and, in bf16, the inputs of the modules before and after attention.
  const around = 2 * FLOAT * numbers + (flow === FLOAT ? 0 : 2 * flow * numbers);
  const inner = flow * block.inner;
  const again = training.gradient_checkpointing
    ? keptOfBlock(parts, block) - keptOfRecomputed(parts, block) + added
    : 0;
  const wide = block.gated ? block.inner / 2 : block.inner;
  const gated = flow === FLOAT ? WIDE.gated : WIDE.narrow + (model.gateTensors ?? 0);
  const feedForward = FLOAT * wide * (block.gated ? gated : WIDE.plain) - inner;
  const attention = mixingBytes(parts, block) - inner;
  const product = unpackedBytes(parts) + FLOAT * wide - inner;
  return around + again + Math.max(feedForward, attention, product);
}

/** Float32 tensors of the width of the inputs that the backward pass of a convolution has at once. */
const CONVOLVED = 6;

/** Memory of the backward pass of a block's attention, or of its recurrent layer. */
function mixingBytes(parts: JobParts, block: BlockNumbers): number {
  if (block.recurrent) {
    const { kept, output, rule, shape } = block.recurrent;
    const mixed = (kept - 3 * output) / 2;
    const { groups, bytes } = recurrentGroups(rule)(shape, parts.device);
    // With several groups, the gradients of the queries, keys and values of those before.
    const ruleBytes = bytes + (groups > 1 ? flowBytes(parts) * mixed : 0);
    const convolutionBytes = CONVOLVED * FLOAT * mixed;
    // Released by then: what follows the rule in the block; its inputs are among its own tensors.
    const released = flowBytes(parts) * (mixed + 3 * output) + (FLOAT * block.stream) / 2;
    return Math.max(ruleBytes, convolutionBytes) - released;
  }
  const { bytes: scores } = scoresOf(parts, block);
  const narrowed = parts.precision === 'bf16' ? scores / 2 : 0;
  return 2 * scores + narrowed;
}

/** The widest frozen matrix of a block as used in products, the tensors for unpacking it, and the copies that a method makes. */
function unpackedBytes({ model, peft, storage, precision }: JobParts): number {
  const bytes = { float32: 4, bfloat16: 2, int8: 0, nf4: 0 }[storage];
  const factor = precision === 'bf16' ? 2 : 4;
  const largest = storedWeights(model, storage, false)
    .filter(({ name }) => /\.\d+\./.test(name))
    .reduce((most, { shape }) => Math.max(most, elementCount(shape)), 0);
  const copies = FLOAT * (methodOf(peft).weightCopies?.(peft, false) ?? 0) * largest;
  if (bytes > 0) return copies + (bytes === factor ? 0 : factor * largest);
  return copies + largest * (2 * FLOAT + (factor === FLOAT ? 0 : factor));
}

/** Masks of attention that is not computed in blocks, which live through the step. */
function maskBytes(parts: JobParts, blocks: readonly BlockNumbers[]): number {
  const [block] = blocks as [BlockNumbers];
  const { kvHeads, group } = block.own;
  const { inBlocks, bytes } = scoresOf(parts, block);
  return inBlocks ? 0 : bytes / (kvHeads * group);
}

/** Memory of a language model's head: log-probabilities of a chunk, one-hot labels, and the hidden states at labels. */
function headBytes(parts: JobParts): number {
  const head = headNumbers(parts.model, parts.batches.shape);
  if (!head) return 0;
  const { labels, vocabularySize, hiddenSize } = head;
  const rows = Math.min(labels, headRows(parts.device, vocabularySize));
  const logits = 2 * FLOAT * rows * vocabularySize;
  return logits + 3 * FLOAT * labels * hiddenSize + headWeightBytes(parts, vocabularySize * hiddenSize);
}

/** The head's weight as used in products, if it is not stored that way. */
function headWeightBytes({ storage, precision, device }: JobParts, numbers: number): number {
  const product = precision === 'bf16' ? 2 : FLOAT;
  if (storage === 'int8' || storage === 'nf4')
    return product * Math.min(numbers, SLICE_BYTES[device] / FLOAT);
  if (storage === 'float32') return precision === 'bf16' ? 2 * numbers : 0;
  return storage === 'bfloat16' && precision === 'fp32' ? 4 * numbers : 0;
}
