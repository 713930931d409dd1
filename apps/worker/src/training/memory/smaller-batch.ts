import type { Objective, ResolvedTraining } from '@graft/peft-core/config';
import type { Job } from '@graft/service';
import type { Device } from '../../devices.ts';

type Planned = Pick<Job, 'resolvedTraining' | 'requirements' | 'estimate' | 'peft'>;
type Batch = Pick<ResolvedTraining, 'batch_size' | 'gradient_accumulation_steps' | 'mini_batch_size'>;

/** Examples that a job computes at once. */
function microBatchOf({ batch_size: batch, mini_batch_size: mini }: Batch): number {
  return Math.min(batch, mini ?? batch);
}

/**
 * How many examples at once a job should try that ran out of memory: what its estimate found to fit, or half of them, a divisor
 * of the batch so that each step has the same examples. Null: it has tried with fewer already, or has one.
 */
export function nextMicroBatch({ resolvedTraining, requirements, estimate }: Planned): number | null {
  if (!resolvedTraining || requirements?.microBatch !== undefined) return null;
  const tried = microBatchOf(resolvedTraining);
  const fitting = estimate?.changes
    .map(({ training }) => training.mini_batch_size ?? training.batch_size)
    .find((size) => typeof size === 'number');
  const most = Math.min(tried >> 1, fitting ?? tried);
  for (let size = most; size >= 1; size--) if (resolvedTraining.batch_size % size === 0) return size;
  return null;
}

/**
 * The same training with at most `microBatch` examples at once: the same examples a step, and the same sums but for rounding. Where
 * the batch is part of the loss (`keepsBatch`) it keeps its size and is embedded in parts.
 */
export function withMicroBatch<T extends Batch>(
  training: T,
  microBatch: number | undefined,
  { keepsBatch }: Pick<Objective, 'keepsBatch'>,
): T {
  if (microBatch === undefined || microBatchOf(training) <= microBatch) return training;
  if (keepsBatch) return { ...training, mini_batch_size: microBatch };
  const passes = training.gradient_accumulation_steps * Math.ceil(training.batch_size / microBatch);
  return { ...training, batch_size: microBatch, gradient_accumulation_steps: passes };
}

/** For the job's events. */
export function smallerMessage(job: Planned, microBatch: number, device: Device): string {
  const tried = microBatchOf(job.resolvedTraining!);
  return `${deviceOf(device)} ran out of memory with ${examples(tried)} at a time: trying once more with ${microBatch}, the same batch in more passes`;
}

/** For its team, when it has tried with less: what makes it smaller. */
export function memoryAdvice(job: Planned, device: Device): string {
  const training = job.resolvedTraining!;
  const size = Math.min(microBatchOf(training), job.requirements?.microBatch ?? Number.POSITIVE_INFINITY);
  const fewer =
    job.peft.task_type === 'FEATURE_EXTRACTION'
      ? `training.mini_batch_size below ${size} (of scored pairs training.batch_size)`
      : `training.batch_size below ${size} with more gradient_accumulation_steps`;
  const changes = [
    ...(size > 1 ? [fewer] : []),
    ...(training.gradient_checkpointing ? [] : ['training.gradient_checkpointing true']),
    `training.max_seq_length below ${training.max_seq_length}`,
    ...(training.base_dtype === 'nf4' ? [] : ['training.base_dtype nf4']),
    'a smaller base model',
  ];
  const list = `${changes.slice(0, -1).join(', ')} or ${changes.at(-1)}`;
  return `${deviceOf(device)} ran out of memory with ${examples(size)} of up to ${training.max_seq_length} tokens at a time. Try ${list}.`;
}

const examples = (count: number): string => (count === 1 ? 'one example' : `${count} examples`);

function deviceOf(device: Device): string {
  if (device.kind === 'cpu') return 'The worker';
  const memory = device.memoryMib > 0 ? ` with ${Math.round(device.memoryMib / 1024)} GiB` : '';
  return `The GPU (${device.name}${memory})`;
}
