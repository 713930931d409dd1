import { leastBatch, type Objective, objectiveFor, type ResolvedTraining } from '@graft/peft-core/config';
import type { Job } from '@graft/service/jobs';
import type { Device } from '../../devices.ts';

type Planned = Pick<Job, 'resolvedTraining' | 'requirements' | 'estimate' | 'peft' | 'method'>;

type Batch = Pick<ResolvedTraining, 'batch_size' | 'gradient_accumulation_steps' | 'mini_batch_size'>;

/** Number of examples that a job computes in one forward pass. */
function microBatchOf({ batch_size: batch, mini_batch_size: mini }: Batch): number {
  return Math.min(batch, mini ?? batch);
}

/**
 * The micro-batch size for another attempt after a job ran out of memory: the size that its estimate found to fit, or half the last
 * one, rounded down to a divisor of the batch, so that each step has the same examples. Null: a smaller size was already tried, or
 * there is none.
 */
export function nextMicroBatch(job: Planned): number | null {
  const { resolvedTraining, requirements, estimate } = job;
  if (!resolvedTraining || requirements?.microBatch !== undefined) return null;
  const tried = microBatchOf(resolvedTraining);
  const fitting = estimate?.changes
    .map(({ training }) => training.mini_batch_size ?? training.batch_size)
    .find((size) => typeof size === 'number');
  const most = Math.min(tried >> 1, fitting ?? tried);
  for (let size = most; size >= leastOf(job); size--)
    if (resolvedTraining.batch_size % size === 0) return size;
  return null;
}

const leastOf = ({ peft, method }: Planned): number => leastBatch(objectiveFor(peft.task_type, null, method));

/**
 * The same training with a micro-batch of at most `microBatch` examples: each step has the same examples, and the same sums except for
 * rounding. Where the loss depends on the whole batch (`keepsBatch`), the batch size stays and the batch is embedded in parts.
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

export function smallerMessage(job: Planned, microBatch: number, device: Device): string {
  const tried = microBatchOf(job.resolvedTraining!);
  return `${deviceOf(device)} ran out of memory with ${examples(tried)} at a time: trying once more with ${microBatch}, the same batch in more passes`;
}

/** Advice for the team after a smaller micro-batch failed too: how to reduce memory. */
export function memoryAdvice(job: Planned, device: Device): string {
  const training = job.resolvedTraining!;
  const size = Math.min(microBatchOf(training), job.requirements?.microBatch ?? Number.POSITIVE_INFINITY);
  const fewer =
    job.peft.task_type === 'FEATURE_EXTRACTION'
      ? `training.mini_batch_size below ${size} (of scored pairs training.batch_size)`
      : `training.batch_size below ${size} with more gradient_accumulation_steps`;
  const changes = [
    ...(size > leastOf(job) ? [fewer] : []),
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
