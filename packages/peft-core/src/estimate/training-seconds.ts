import type { GridShape } from '../examples/batches/choose-grid.ts';
import { countOf } from '../tuners/file-tensors.ts';
import { methodOf } from '../tuners/methods.ts';
import { frozenParameters } from '../weights/base-storage.ts';
import { blockCount, blockNumbers, headNumbers } from './block-numbers.ts';
import type { JobParts } from './job-parts.ts';

// Work is counted in floating-point operations of large matrix products, whose speed is what a worker measures. The constants are
// fitted to what bench/estimates measured.

/** Of one operation of a product as steps have them: with both matrices read from memory it is none faster. */
const PRODUCT = 0.54;
/** Of a number that a block hands on, forward, in the backward pass, or again when it is recomputed. */
const NUMBER = 875;
/** Of one probability of attention; its products are in it. */
const SCORE = 1100;
/** Of a block's operations, however small what they work on. */
const BLOCK = 460e6;
/** Of a trained number: its gradient's norm, and Adam. */
const TRAINED = 5700;
/** Of unpacking a weight where it is read. */
const UNPACKED = { float32: 0, bfloat16: 0, int8: 100, nf4: 450 };

/** Of starting, of reading a weight and keeping it, and of tracing and optimising the graph of a block and of a trained tensor. */
const START = { process: 50e9, block: 17e9, tensor: 1.5e9 };
const READ = { float32: 1200, bfloat16: 1200, int8: 3400, nf4: 8400 };
/** So much larger is the graph where blocks are recomputed, or products have their factors converted. */
const LARGER_GRAPH = 1.33;

/** Seconds from opening the files to the adapter's own, on a machine of so many operations a second. */
export function trainingSeconds(parts: JobParts, flops: number): number {
  const { batches, trainedParameters } = parts;
  const { shape, passes, steps, evaluation } = batches;
  const evaluations = evaluation
    ? evaluation.batches * evaluation.times * passWork(parts, evaluation.shape, false)
    : 0;
  const trains = passes * passWork(parts, shape, true) + steps * TRAINED * trainedParameters;
  return (startWork(parts) + trains + evaluations) / flops;
}

/** Of one micro-batch: forward, and where it trains also backward. */
function passWork(
  { model, training, storage, lowestTrained }: JobParts,
  shape: GridShape,
  trains: boolean,
): number {
  const reads = trains ? 2 : 1;
  let work = 0;
  for (const [number, block] of blockNumbers(model, shape).entries()) {
    const backward = trains && number >= lowestTrained ? 1 : 0;
    const forward = backward && training.gradient_checkpointing ? 2 : 1;
    // A frozen matrix has no gradient of its own: its backward product is one.
    work += PRODUCT * block.products * (forward + backward);
    work += NUMBER * block.kept * (forward + 2 * backward);
    work += SCORE * block.scores * (forward + 2 * backward);
    work += BLOCK * (forward + 2 * backward);
  }
  const head = headNumbers(model, shape);
  if (head) {
    const logits = head.labels * head.vocabularySize;
    work += PRODUCT * 2 * logits * head.hiddenSize * reads + NUMBER * logits * (trains ? 3 : 2);
  }
  return work + UNPACKED[storage] * frozenNumbers(model) * reads;
}

function startWork({ model, peft, training, storage, precision }: JobParts): number {
  const tensors = methodOf(peft).fileTensors?.(peft, model).length ?? 0;
  const larger = [training.gradient_checkpointing, precision === 'bf16'].filter(Boolean).length;
  const graph = (START.block * blockCount(model) + START.tensor * tensors) * LARGER_GRAPH ** larger;
  return START.process + graph + READ[storage] * frozenNumbers(model);
}

/** Of the base model. */
const frozenNumbers = (model: JobParts['model']): number => countOf(frozenParameters(model, false));
