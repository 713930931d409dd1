import { deltaScratch, stateSpaceGroups } from '../block-sizes/delta-groups.ts';
import { headRows } from '../block-sizes/limits.ts';
import type { GridShape } from '../examples/batches/choose-grid.ts';
import { attentionOf } from '../outlines/outline.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import { methodOf } from '../tuners/methods.ts';
import { NF4_TABLE, partsOf, storedWeights } from '../weights/base-storage.ts';
import { BLOCK } from '../weights/quantise/nf4.ts';
import { type BlockNumbers, blockCount, blockNumbers, headNumbers, sharedNumbers } from './block-numbers.ts';
import type { JobParts } from './job-parts.ts';
import { scoreBlock } from './score-blocks.ts';
import { stockStepBytes } from './stock-memory.ts';

const MB = 1e6;
/** Bytes of a number in computations. */
const FLOAT = 4;

/** Constants measured with bench/estimates, for layers of stock operations and for kernels. */
interface Measured {
  /** Memory of the trainer's process before it has a model: Node and TensorFlow's library. */
  engine: number;
  /** The traced graph of a block, and the garbage from tracing it. */
  graph: number;
  /** Additional memory per block if its matrices are not stored in float32, and are widened or unpacked when read. */
  unpacked: number;
  /** Memory that the allocator holds relative to the tensors that live through a step. */
  slack: number;
}
const STOCK: Measured = { engine: 370 * MB, graph: 5 * MB, unpacked: 3.3 * MB, slack: 1.16 };
const KERNELS: Measured = { engine: 160 * MB, graph: 3.5 * MB, unpacked: 0, slack: 1.02 };
/** Kernels cover RMS norms and gated activations; other models store this factor more. */
const UNGATED = 1.2;
/** Memory of the backward pass of a recomputed block, relative to what it stores where it is not recomputed. */
const RECOMPUTED = 2;
/** Share of the widest weight that exists in float32 while kernels read it, by its storage type; 1 for float32 computation. */
const WIDENED = { float32: 0.3, bfloat16: 0, int8: 0, nf4: 0.5 };

/** Floats in the widest vector register that kernels use. */
const VECTOR = 16;

const bytesOf: Record<string, number> = { float32: 4, bfloat16: 2, int8: 1, uint8: 1 };

/** Memory that TensorFlow's GPU allocator holds relative to the tensors that live through a step: an assumption, not yet measured. */
const CARD_SLACK = 1.05;

/**
 * Peak memory of the trainer's process while it trains, in bytes: of main memory, or of its GPU's memory without that of CUDA itself,
 * which workers already subtract from the memory that they report.
 */
export function peakMemory(parts: JobParts): number {
  if (parts.device === 'gpu')
    return Math.max(variableBytes(parts) + CARD_SLACK * stockStepBytes(parts), startingBytes(parts));
  const { engine, graph, unpacked, slack } = parts.kernels ? KERNELS : STOCK;
  // The pass over inputs has a separate graph, which stays.
  const graphs = parts.readsInputs ? 2 : 1;
  const blocks = blockCount(parts.model) * (graphs * graph + (parts.storage === 'float32' ? 0 : unpacked));
  const start = startingBytes(parts);
  if (!parts.kernels)
    return engine + blocks + Math.max(variableBytes(parts) + slack * stockStepBytes(parts), start);
  const kept = weightBytes(parts);
  // The gradient, Adam's two moments, the values, and as much again while a step replaces them.
  const own = 8 * FLOAT * parts.vectorLength;
  // The average, as much while a step replaces it, and both copies during an evaluation.
  const average = parts.training.ema_decay === undefined ? 0 : 4 * FLOAT * parts.vectorLength;
  const adapter = own + average;
  const step = kept + widenedBytes(parts) + adapter + slack * activationBytes(parts);
  return engine + blocks + Math.max(step, start);
}

/** Memory while start values are computed from weights, beside the frozen ones: nothing of a step exists yet. */
function startingBytes(parts: JobParts): number {
  const costs = methodOf(parts.peft).startCosts?.(parts.peft, parts.model);
  return costs ? weightBytes(parts) + FLOAT * parts.vectorLength + costs.bytes : 0;
}

/**
 * Peak memory of a process that only measures an adapter on the base model as it is served, in float32. `shape` is that of the batches.
 * Nothing is stored for a backward pass, so the tensors of only one block exist at a time.
 */
export function measuringMemory({
  model,
  shape,
  kernels,
  adapterParameters,
}: Pick<JobParts, 'model' | 'kernels'> & { shape: GridShape; adapterParameters: number }): number {
  const kept = weightBytes({ model, storage: 'float32' });
  const { engine, graph, slack } = kernels ? KERNELS : STOCK;
  const scoresOf = ({ own, scores, queries }: BlockNumbers) => {
    if (!kernels) return 2 * scoreBlock(own, queries, 'cpu').bytes;
    return model.encoderLayers ? 2 * FLOAT * scores : 0;
  };
  const within = blockNumbers(model, shape).map(
    (block) => FLOAT * (block.stream + 4 * block.widest) + scoresOf(block),
  );
  const head = headNumbers(model, shape);
  const logits = head
    ? 2 * FLOAT * Math.min(head.labels, headRows('cpu', head.vocabularySize)) * head.vocabularySize
    : 0;
  const weights = kept + 2 * FLOAT * adapterParameters;
  return engine + blockCount(model) * graph + weights + slack * Math.max(logits, ...within);
}

/** Memory of an adapter that waits beside the one being trained: its graph, values, Adam's moments and the moving average. */
export function waitingMemory({
  model,
  training,
  vectorLength,
  kernels,
  device,
}: Pick<JobParts, 'model' | 'training' | 'vectorLength' | 'kernels' | 'device'>): number {
  const { graph } = kernels ? KERNELS : STOCK;
  const vectors = training.ema_decay === undefined ? 3 : 4;
  // Graphs are not in GPU memory.
  return (device === 'gpu' ? 0 : blockCount(model) * graph) + vectors * FLOAT * vectorLength;
}

/** The program's variables: frozen weights, adapter, Adam's two moments, accumulated gradients, moving average. */
export function variableBytes(parts: JobParts): number {
  const { training, batches, vectorLength } = parts;
  const sums = training.gradient_accumulation_steps > 1 || batches.isCached ? 1 : 0;
  const averages = training.ema_decay === undefined ? 0 : 1;
  return weightBytes(parts) + (3 + sums + averages) * FLOAT * vectorLength;
}

/** Bytes of the frozen weights as stored. They are read, and quantised, a piece at a time, so this is also what loading them needs. */
export function weightBytes({ model, storage }: Pick<JobParts, 'model' | 'storage'>): number {
  let bytes = storage === 'nf4' ? FLOAT * elementCount(NF4_TABLE.shape) : 0;
  for (const weight of storedWeights(model, storage, false))
    for (const { shape, dtype } of partsOf(weight)) bytes += bytesOf[dtype]! * elementCount(shape);
  return bytes;
}

/** Bytes of the largest copy of a weight that kernels read instead of what is stored. */
function widenedBytes({ model, storage, precision }: JobParts): number {
  const share = storage === 'bfloat16' && precision === 'fp32' ? 1 : WIDENED[storage];
  const flow = precision === 'bf16' ? FLOAT / 2 : FLOAT;
  const heads = new Set(Object.values(model.aliases));
  const tables = new Set(
    model.modules.filter(({ kind }) => kind === 'embedding').map(({ name }) => `${name}.weight`),
  );
  let largest = 0;
  for (const { name, shape, storage: own } of storedWeights(model, storage, false)) {
    // A table that is no head is only looked up, row by row.
    if (tables.has(name) && !heads.has(name)) continue;
    const isQuantised = own === 'int8' || own === 'nf4';
    // The product of experts reads quantised matrices as they are stored, except NF4's rows of parts of blocks.
    const expertCopy = own === 'nf4' && shape.at(-1)! % BLOCK !== 0 ? flow : 0;
    largest = Math.max(
      largest,
      elementCount(shape) * (isQuantised && shape.length === 3 ? expertCopy : FLOAT * share),
    );
  }
  return largest;
}

/** Memory that a step with kernels stores for its backward pass, plus the maximum that one part of the step needs in addition. */
function activationBytes(parts: JobParts): number {
  const { model, peft, training, lowestTrained } = parts;
  const { shape, attended } = parts.batches;
  const blocks = blockNumbers(model, shape, attended);
  const recomputes = training.gradient_checkpointing;
  /** Bytes of a number in activations between products; the residual stream is always float32. */
  const flow = parts.precision === 'bf16' ? FLOAT / 2 : FLOAT;
  const keptBy = ({ kept, stream, gated }: BlockNumbers) =>
    (FLOAT * stream + flow * (kept - stream)) * (!gated && !model.encoderLayers ? UNGATED : 1);
  /** A block's input and its attention output. */
  const keptOfRecomputed = ({ positions }: BlockNumbers) => (FLOAT + flow) * positions * model.hiddenSize;
  const kept = blocks
    .slice(lowestTrained)
    .reduce(
      (sum, block) => sum + (recomputes ? keptOfRecomputed(block) : keptBy(block)),
      FLOAT * sharedNumbers(model, blocks[0]!.positions),
    );
  const added =
    FLOAT *
    (methodOf(peft).keptNumbers?.(peft, model) ?? 0) *
    Math.max(...blocks.map(({ positions }) => positions));
  // Kernels of attention never store all probabilities at once.
  const scores = model.encoderLayers ? 8 * FLOAT : 0;
  const attention = attentionGradientBytes(parts, flow);
  const within = blocks.map(
    (block) =>
      Math.max(scores * block.scores, 4 * flow * block.widest, attention, ruleBytes(parts, block, flow)) +
      (recomputes ? RECOMPUTED * keptBy(block) : 0),
  );
  const head = headNumbers(model, shape);
  const logits = head
    ? 3 * flow * Math.min(head.labels, headRows('cpu', head.vocabularySize)) * head.vocabularySize
    : 0;
  const copies = FLOAT * (methodOf(peft).weightCopies?.(peft, true) ?? 0) * largestMatrix(model);
  return (
    kept +
    (recomputes ? added / blocks.length : added) +
    Math.max(logits, ...within.map((bytes) => bytes + copies))
  );
}

/** Number of weights of the largest linear layer of a block. */
const largestMatrix = ({ modules, vocabularySize }: JobParts['model']): number =>
  Math.max(
    ...modules
      .filter(({ kind, out }) => kind === 'linear' && out !== vocabularySize)
      .map((module) => (module.in ?? 0) * (module.out ?? 0)),
  );

/** Memory of the backward pass of a recurrent layer: gradients of the rule's inputs and output, in `flow` bytes per number. */
function ruleBytes({ threads }: JobParts, { recurrent }: BlockNumbers, flow: number): number {
  if (!recurrent) return 0;
  const { rule, shape, kept, output } = recurrent;
  const mixed = (kept - 3 * output) / 2;
  // A state space has no kernel.
  const scratch = rule === 'delta' ? deltaScratch(shape, threads) : stateSpaceGroups(shape, 'cpu').bytes;
  return scratch + flow * (2 * mixed + output);
}

/**
 * Memory of attention's backward pass with kernels: gradients of keys and values in float32, with heads padded to whole vectors; and in
 * `flow` bytes per number, the gradients of output, queries, keys and values.
 */
function attentionGradientBytes({ model, batches }: JobParts, flow: number): number {
  const bytesOf = (layer: number) => {
    const { kvHeads, headSize } = attentionOf(model, layer);
    const padded = Math.ceil(headSize / VECTOR) * VECTOR;
    const gathered = FLOAT * batches.gradientPositions * kvHeads * 2 * padded;
    return gathered + flow * batches.shape.tokens * (2 * model.heads + 2 * kvHeads) * headSize;
  };
  return Math.max(...Array.from({ length: model.layers }, (_, layer) => bytesOf(layer)));
}
