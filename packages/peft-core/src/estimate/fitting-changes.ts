import type { ResolvedTraining } from '../config/index.ts';
import type { ExampleSize } from '../examples/batches/example-size.ts';
import { miniBatchSize } from '../examples/batches/plan-training.ts';
import { leastBatch, objectiveFor } from '../objectives/objectives.ts';
import { outlineOf } from '../outlines/index.ts';
import { leadingPositions } from '../tuners/methods.ts';
import type { EstimatedJob, ExampleSample, Machine } from './estimate.ts';
import { estimateTraining } from './estimate-training.ts';

/** Changed training options with which a job fits that otherwise does not. */
export interface FittingChange {
  training: Partial<ResolvedTraining>;
  peakMemoryBytes: number;
}

/** `max_seq_length` is suggested in multiples of this. */
const LENGTH_STEP = 32;
/** As in the schema of training options. */
const MAX_ACCUMULATION = 1024;

type Options = Partial<ResolvedTraining>;
/** Changes of one kind, the smallest first, each saving more than the one before. */
type Kind = readonly Options[];

/**
 * Changes that make a job fit into `memoryBytes`: for each kind the smallest change that is sufficient alone, least intrusive kinds
 * first; if none is sufficient alone, one combination. Empty if even all together are insufficient. With a shorter `max_seq_length`, the
 * user must shorten longer examples. A batch of pairs keeps its size, since it contains their negatives, and is embedded in
 * mini-batches.
 */
export function fittingChanges(job: EstimatedJob, machine: Machine, memoryBytes: number): FittingChange[] {
  const peakOf = (options: Options): number =>
    estimateTraining(withOptions(job, options), machine).peakMemoryBytes;
  /** The smallest change of the kind with which the job fits, in addition to `others`. */
  const least = (kind: Kind, others: Options): FittingChange | null => {
    const fits = (at: number) => peakOf({ ...others, ...kind[at] }) <= memoryBytes;
    const at = firstThat(kind.length, fits);
    if (at === null) return null;
    const training = { ...others, ...kind[at] };
    return { training, peakMemoryBytes: peakOf(training) };
  };

  const objective = objectiveFor(job.peft.task_type, job.data.format, job.method);
  const batches = objective.keepsBatch ? miniBatched(job) : smallerBatches(job, leastBatch(objective));
  const kinds = [batches, checkpointing(job), quantised(job), shorter(job)].filter((kind) => kind.length > 0);
  const single = kinds.map((kind) => least(kind, {})).filter((change) => change !== null);
  if (single.length > 0) return single;
  let all: Options = {};
  for (const kind of kinds) {
    const enough = least(kind, all);
    if (enough) return [enough];
    all = { ...all, ...kind.at(-1) };
  }
  return [];
}

/** The same number of examples per step, in smaller passes. */
function smallerBatches(
  { training: { batch_size: batch, gradient_accumulation_steps: passes } }: EstimatedJob,
  least: number,
): Kind {
  const halved: Options[] = [];
  for (let size = batch >> 1; size >= least; size >>= 1) {
    const accumulation = Math.ceil((batch * passes) / size);
    if (accumulation <= MAX_ACCUMULATION)
      halved.push({ batch_size: size, gradient_accumulation_steps: accumulation });
  }
  return halved;
}

/** The same batches, with fewer examples embedded at a time. */
function miniBatched({ training }: EstimatedJob): Kind {
  const halved: Options[] = [];
  for (let size = (miniBatchSize(training) ?? training.batch_size) >> 1; size >= 1; size >>= 1)
    halved.push({ mini_batch_size: size });
  return halved;
}

function checkpointing({ training }: EstimatedJob): Kind {
  return training.gradient_checkpointing ? [] : [{ gradient_checkpointing: true }];
}

function quantised({ training, modelConfig, peft }: EstimatedJob): Kind {
  const { modules } = outlineOf(modelConfig, peft.task_type);
  const isMatter = training.base_dtype !== 'nf4' && modules.some(({ kind }) => kind === 'linear');
  return isMatter ? [{ base_dtype: 'nf4' }] : [];
}

function shorter({ data, training, peft }: EstimatedJob): Kind {
  const { virtualTokens, prefixLength } = leadingPositions(peft);
  const longest = Math.min(
    training.max_seq_length,
    [data.training, data.validation].reduce(
      (most, sample) => Math.max(most, ...(sample?.sizes ?? []).map(longestOf)),
      0,
    ),
  );
  const lengths: Options[] = [];
  const most = Math.floor((longest - 1) / LENGTH_STEP) * LENGTH_STEP;
  for (let length = most; length > virtualTokens + prefixLength; length -= LENGTH_STEP)
    lengths.push({ max_seq_length: length });
  return lengths;
}

function longestOf({ widths, inputWidth }: ExampleSize): number {
  return Math.max(inputWidth, ...widths);
}

/** The job with other options; with a shorter `max_seq_length` its longer examples are cut. */
function withOptions(job: EstimatedJob, options: Options): EstimatedJob {
  const { data } = job;
  const training = { ...job.training, ...options };
  const length = options.max_seq_length;
  if (length === undefined) return { ...job, training };
  const cut = (sample: ExampleSample): ExampleSample => ({
    ...sample,
    sizes: sample.sizes.map((size) => cutTo(length, size)),
  });
  return {
    ...job,
    training,
    data: { ...data, training: cut(data.training), validation: data.validation && cut(data.validation) },
  };
}

function cutTo(length: number, { widths, inputWidth, labels, tokens }: ExampleSize): ExampleSize {
  const kept = widths.map((width) => Math.min(width, length));
  const input = Math.min(inputWidth, length);
  const positions = (all: readonly number[], more: number) => all.reduce((sum, width) => sum + width, more);
  const lost = positions(widths, inputWidth) - positions(kept, input);
  return {
    widths: kept,
    inputWidth: input,
    labels: Math.min(labels, positions(kept, 0)),
    tokens: tokens - lost,
  };
}

/** The first of `count` indices for which `is` holds, if it holds for all later ones; null if it holds for none. */
function firstThat(count: number, is: (at: number) => boolean): number | null {
  if (count === 0 || !is(count - 1)) return null;
  let low = 0;
  for (let high = count - 1; low < high; ) {
    const middle = (low + high) >> 1;
    if (is(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
