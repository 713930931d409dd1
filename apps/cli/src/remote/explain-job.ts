import type { FineTuningJob, GraftClient, JobAttempt, JobOutlook } from '@graft/client';
import { count, duration, timestamp } from '../draw/quantities.ts';
import { sentence } from '../errors.ts';

export interface Explanation {
  job: FineTuningJob;
  attempts: JobAttempt[];
  outlook: JobOutlook | null;
  paragraphs: string[];
}

export async function explainJob(client: GraftClient, id: string): Promise<Explanation> {
  const { jobs } = client.fineTuning;
  const { data: attempts, outlook } = await jobs.attempts(id);
  // Read after the attempts, so that the job is not older than they are.
  const job = await jobs.retrieve(id);
  return { job, attempts, outlook, paragraphs: explanation(job, attempts, outlook) };
}

export function explanation(
  job: FineTuningJob,
  attempts: JobAttempt[],
  outlook: JobOutlook | null,
): string[] {
  const lines = attempts.map((attempt, i) => {
    const next = attempts.slice(i + 1).find(({ kind }) => kind === attempt.kind);
    return `${timestamp(attempt.started_at)}  ${describeAttempt(attempt, next, job)}`;
  });
  const created = `${timestamp(job.created_at)}  The job was created.`;
  return [created, ...lines, `Now: ${describeNow(job, attempts, outlook)}`];
}

function describeAttempt(attempt: JobAttempt, next: JobAttempt | undefined, job: FineTuningJob): string {
  const { worker, started_at, ended_at } = attempt;
  const took = ended_at === null ? '' : ` for ${duration(ended_at - started_at)}`;
  const doing =
    attempt.kind === 'validation'
      ? `${worker} ${ended_at === null ? 'is validating' : 'validated'} the files${took}.`
      : `${worker} ${ended_at === null ? 'is training' : 'trained'} it ${range(attempt)}${took}.`;
  return [doing, endOf(attempt, job), sequel(attempt, next)].filter(Boolean).join(' ');
}

function range({ from_step, last_step, ended_at }: JobAttempt): string {
  const from = from_step ? `from the checkpoint at step ${count(from_step)}` : 'from the beginning';
  return ended_at === null || last_step === null ? from : `${from} to step ${count(last_step)}`;
}

function endOf({ outcome, reason, kind }: JobAttempt, job: FineTuningJob): string {
  const because = reason === null ? '' : ` ${sentence(reason)}`;
  switch (outcome) {
    case null:
      return '';
    case 'succeeded':
      return kind === 'validation' ? 'They are valid.' : 'It finished and published the adapter.';
    case 'failed':
      return `That failed.${because || (job.error === null ? '' : ` ${sentence(job.error.message)}`)}`;
    case 'cancelled':
      return 'Then the job was cancelled.';
    case 'paused':
      return 'Then the job was paused, with a checkpoint. The attempt does not count.';
    case 'released':
      if (reason?.startsWith('Preempted at a checkpoint'))
        return 'Then it was preempted for other jobs, with a checkpoint. The attempt does not count.';
      return 'Then that process shut down cleanly and released the job. The attempt does not count.';
    case 'lost':
      return 'Then it was lost: it died, froze or was cut off, and its lease ran out.';
    case 'environment':
      return `That machine could not run it.${because} The attempt does not count.`;
  }
}

/** The steps that were repeated, and how long it took until another worker continued. */
function sequel({ outcome, last_step, ended_at, kind }: JobAttempt, next: JobAttempt | undefined): string {
  if (next === undefined || ended_at === null || outcome === 'succeeded') return '';
  const parts: string[] = [];
  const repeated = kind === 'training' ? (last_step ?? 0) - (next.from_step ?? 0) : 0;
  if (repeated > 0) {
    const first = count((next.from_step ?? 0) + 1);
    const steps = repeated === 1 ? `Step ${first} was` : `Steps ${first} to ${count(last_step ?? 0)} were`;
    parts.push(`${steps} computed again, with the same result.`);
  } else if (kind === 'training' && outcome !== 'failed') parts.push('No step was lost.');
  parts.push(`${next.worker} continued after ${duration(next.started_at - ended_at)}.`);
  return parts.join(' ');
}

function describeNow(job: FineTuningJob, attempts: JobAttempt[], outlook: JobOutlook | null): string {
  return [describeState(job, attempts.at(-1), outlook), ...describeQuarantine(outlook)].join(' ');
}

function describeState(job: FineTuningJob, last: JobAttempt | undefined, outlook: JobOutlook | null): string {
  switch (job.status) {
    case 'validating_files':
      return last?.outcome === null ? 'its files are being validated.' : 'its files wait to be validated.';
    case 'queued':
      return describeQueued(job, outlook);
    case 'running': {
      const { progress } = job;
      const at = progress ? ` at step ${count(progress.step)} of ${count(progress.total_steps)}` : '';
      const left = progress?.seconds_remaining ? `, about ${duration(progress.seconds_remaining)} left` : '';
      const spare = outlook === null ? '' : `; ${describeRetries(outlook.attempts_left - 1)}`;
      return `${last?.worker ?? 'a worker'} is${at}${left}. If it is lost, another worker continues from the last checkpoint${spare}.`;
    }
    case 'paused':
      return `it is paused and keeps its checkpoint. Resume it with: graft jobs resume ${job.id}`;
    case 'succeeded':
      return `it succeeded: ${job.fine_tuned_model}`;
    case 'cancelled':
      return 'it was cancelled.';
    case 'failed':
      return `it failed (${job.error?.code ?? 'unknown'}). ${failureAdvice(job)}`;
  }
}

export const failureAdvice = ({ id, error }: Pick<FineTuningJob, 'id' | 'error'>): string =>
  error?.fault === 'user'
    ? 'Fix the data or the options, and create the job again.'
    : `The service is at fault; report ${id} to its operator.`;

function describeQueued(job: FineTuningJob, outlook: JobOutlook | null): string {
  const until = outlook?.run_after ? ` until ${timestamp(outlook.run_after)}` : ' for a free slot';
  const place = job.queue_position === null ? '' : `, number ${job.queue_position} in the queue`;
  const avoids = outlook?.avoids_worker
    ? ` Workers other than ${outlook.avoids_worker}, which could not run it, are tried first.`
    : '';
  return `it waits${until}${place}.${avoids}${describeRequirements(outlook)}`;
}

function describeRequirements(outlook: JobOutlook | null): string {
  if (outlook === null || outlook.has_worker) return '';
  if (outlook.requirements === null) return ' No available worker can run it.';
  const { precision, threads, device, kernels, gpu } = outlook.requirements;
  const by = kernels === 'stock' ? '' : ` with ${kernels} instructions`;
  const had = `${precision} and ${count(threads)} ${threads === 1 ? 'thread' : 'threads'} on ${gpu === null ? `a ${device.toUpperCase()}` : `the GPU model ${gpu}`}${by}`;
  return ` No available worker can continue it: it started with ${had}, and must finish with the same. Ask the operator for such a worker.`;
}

function describeRetries(attempts: number): string {
  if (attempts <= 0) return 'but lost once more without a new checkpoint, the job fails';
  return `that may happen ${attempts === 1 ? 'once' : `${attempts} times`} without a new checkpoint before the job fails`;
}

function describeQuarantine(outlook: JobOutlook | null): string[] {
  return (outlook?.quarantined_workers ?? []).map(
    (worker) => `${worker} is quarantined: its machine failed several jobs in a row.`,
  );
}
