import { countOf } from '../tuners/file-tensors.ts';
import { methodOf } from '../tuners/methods.ts';
import { frozenParameters } from '../weights/base-storage.ts';
import { blockCount, blockNumbers, headNumbers } from './block-numbers.ts';
import type { EstimatedJob, Machine, TrainingEstimate } from './estimate.ts';
import { type JobParts, jobParts } from './job-parts.ts';
import { peakMemory } from './peak-memory.ts';
import type { PlannedBatches } from './planned-batches.ts';

/**
 * Estimates a job on a machine. Exact if its sample contains all of its examples, except for memory and time, whose constants were
 * measured with `bench/estimates` (docs/estimates.md). Throws GraftErrors of the model's outline.
 */
export function estimateTraining(job: EstimatedJob, machine: Machine): TrainingEstimate {
  const parts = jobParts(job, machine);
  const { model, batches, trainedParameters } = parts;
  return {
    trainableParameters: trainedParameters,
    totalParameters: countOf(model.parameters) + trainedParameters,
    peakMemoryBytes: Math.round(peakMemory(parts)),
    tokens: batches.tokens,
    steps: batches.steps,
    seconds: machine.flops === null ? null : trainingSeconds(parts, machine.flops),
  };
}

// Work is counted in floating-point operations of large matrix products, whose speed is measured by workers. The constants are fitted
// to measurements of bench/estimates.

/** Work per operation of a matrix product in a training step. Reading both matrices from memory makes none of them faster. */
const PRODUCT = 0.54;
/** Constants that differ between layers of stock operations and of kernels. */
interface Measured {
  /** Work per number that a block outputs, in the forward pass, the backward pass, and each recomputation. */
  number: number;
  /** Work per attention probability, including its products. */
  score: number;
  /** Work per block, independent of the size of its tensors. */
  block: number;
  /** Work of tracing and optimising the graph of a block. */
  graph: number;
  /** Work of unpacking a number of a weight when it is read. */
  unpacked: Record<JobParts['storage'], number>;
}
const STOCK: Measured = {
  number: 875,
  score: 1100,
  block: 460e6,
  graph: 17e9,
  unpacked: { float32: 0, bfloat16: 0, int8: 100, nf4: 450 },
};
const KERNELS: Measured = {
  number: 650,
  score: 700,
  block: 280e6,
  graph: 12e9,
  unpacked: { float32: 0, bfloat16: 60, int8: 60, nf4: 60 },
};
const measuredOf = ({ kernels }: JobParts): Measured => (kernels ? KERNELS : STOCK);

/** Work per trained number: its share of the gradient norm, and Adam. */
const TRAINED = 5700;
/** Work of starting the process, and of tracing and optimising the graph of a trained tensor; `READ`: of loading a weight's number. */
const START = { process: 50e9, tensor: 1.5e9 };
const READ = { float32: 1200, bfloat16: 1200, int8: 3400, nf4: 8400 };
/** Factor of the graph's work if blocks are recomputed, and again if factors of products are converted. */
const LARGER_GRAPH = 1.33;

/** Seconds from opening the files to writing those of the adapter, on a machine with `flops` operations per second. */
function trainingSeconds(parts: JobParts, flops: number): number {
  const { batches, vectorLength } = parts;
  const { passes, steps, evaluation } = batches;
  const evaluations = evaluation
    ? evaluation.batches * evaluation.times * passWork(parts, evaluation, false)
    : 0;
  const more = batches.isCached ? passWork(parts, batches, false) : 0;
  // The reference is computed once for each example, however many of them are trained on.
  const references =
    parts.referencePasses *
    (batches.passesPerEpoch * passWork(parts, batches, false) +
      (evaluation ? evaluation.batches * passWork(parts, evaluation, false) : 0));
  // The pass over inputs may end earlier.
  const inputs = parts.readsInputs
    ? batches.passesPerEpoch * (passWork(parts, batches, false) + decompositionWork(parts))
    : 0;
  const trains = passes * (passWork(parts, batches, true) + more) + steps * TRAINED * vectorLength;
  return (startWork(parts) + trains + references + inputs + evaluations) / flops;
}

/** Work of the products of a batch's inputs with bases of twice the rank, ten for each module; A is about half of the trained parameters. */
const decompositionWork = ({ batches: { shape }, trainedParameters }: JobParts): number =>
  PRODUCT * 20 * shape.labels * trainedParameters;

/** Work of one micro-batch: a forward pass, and in training also a backward pass. */
function passWork(
  parts: JobParts,
  { shape, positions, attended }: Pick<PlannedBatches, 'shape' | 'positions' | 'attended'>,
  trains: boolean,
): number {
  const { model, training, storage, lowestTrained } = parts;
  const measured = measuredOf(parts);
  // A list is as long as its batch; a grid always has its full size.
  const computed = shape.inputTokens > 0 ? shape : { ...shape, rows: 1, tokens: positions };
  const reads = trains ? 2 : 1;
  let work = 0;
  for (const [number, block] of blockNumbers(model, computed, attended).entries()) {
    const backward = trains && number >= lowestTrained ? 1 : 0;
    const forward = backward && training.gradient_checkpointing ? 2 : 1;
    // A frozen matrix has no gradient, so its backward pass has only one product.
    work += PRODUCT * block.products * (forward + backward);
    // The backward pass of a delta rule computes its forward products again, and two for each.
    work += PRODUCT * (block.recurrent?.products ?? 0) * (1 + 3 * backward);
    work += (block.gated ? measured : STOCK).number * block.kept * (forward + 2 * backward);
    // Kernels store attention's output, so recomputation does not repeat attention.
    work += measured.score * block.scores * ((parts.kernels ? 1 : forward) + 2 * backward);
    work += measured.block * (forward + 2 * backward);
  }
  const head = headNumbers(model, shape);
  if (head) {
    const logits = head.labels * head.vocabularySize;
    work += PRODUCT * 2 * logits * head.hiddenSize * reads + measured.number * logits * (trains ? 3 : 2);
  }
  return work + measured.unpacked[storage] * frozenNumbers(model) * reads;
}

function startWork(parts: JobParts): number {
  const { model, peft, training, storage, precision } = parts;
  const tensors = methodOf(peft).fileTensors?.(peft, model).length ?? 0;
  const larger = [training.gradient_checkpointing, precision === 'bf16'].filter(Boolean).length;
  const graph =
    (measuredOf(parts).graph * blockCount(model) + START.tensor * tensors) * LARGER_GRAPH ** larger;
  const starting = methodOf(peft).startCosts?.(peft, model)?.work ?? 0;
  return START.process + graph + READ[storage] * frozenNumbers(model) + starting;
}

/** Number of frozen weights that training reads. */
const frozenNumbers = (model: JobParts['model']): number => countOf(frozenParameters(model, false));
