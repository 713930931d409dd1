import { MAX_MESSAGE, shortened, shortenedDetails } from '@graft/peft-core/config';
import type { Transaction } from '../../database/database.ts';
import { Prisma } from '../../generated/client.ts';
import { enterTrainedTokens, tokensOfJob } from '../../usage/record-usage.ts';
import { enqueueOutboxEvent } from '../../webhooks/enqueue-outbox-event.ts';
import type { Job, JobError, TrainingEnd } from '../job.ts';
import { insertEvent } from '../records/job-event.ts';
import type { JobTrial } from '../records/job-trial.ts';
import { changeJob } from './change-job.ts';
import { endAttempt } from './job-attempts.ts';
import { wakeIntegrations } from './wake-integrations.ts';

export type Ending =
  | {
      state: 'succeeded';
      fineTunedModel: string;
      trainedTokens: number;
      trainingEnd: TrainingEnd | null;
      /** Trial of a sweep whose configuration becomes the job's; null where the job is no sweep. */
      winner: Pick<JobTrial, 'peft' | 'resolvedTraining'> | null;
    }
  | { state: 'failed'; error: JobError }
  | { state: 'cancelled' };

/**
 * Ends a job; no other code does. Writes its row, its attempt, its usage, its events and its outbox row, in the caller's transaction.
 * `fence` raises the lease epoch, for callers that do not hold the lease: its holder must stop. Null if no job matches `guard`.
 */
export async function endJob(
  tx: Transaction,
  guard: Prisma.Sql,
  ending: Ending,
  options: { fence?: boolean } = {},
): Promise<Job | null> {
  const job = await changeJob(
    tx,
    guard,
    Prisma.sql`state = ${ending.state}, finished_at = now(), lease_until = NULL, pause_requested_at = NULL,
      lease_epoch = lease_epoch + ${options.fence ? 1 : 0}, ${resultOf(ending)}`,
  );
  if (!job) return null;
  const reason = ending.state === 'failed' ? ending.error.message : null;
  await endAttempt(tx, job, ending.state, { reason });
  await enterTrainedTokens(tx, job);
  switch (ending.state) {
    case 'succeeded':
      for (const message of endMessages(ending.trainingEnd))
        await insertEvent(tx, job, { message, data: { ...endData(ending.trainingEnd!) } });
      await insertEvent(tx, job, { message: `New fine-tuned model created: ${ending.fineTunedModel}` });
      await insertEvent(tx, job, { message: 'The job has successfully completed' });
      break;
    case 'failed':
      await insertEvent(tx, job, { level: 'error', message: ending.error.message });
      break;
    case 'cancelled':
      await insertEvent(tx, job, { message: 'Fine-tuning job cancelled' });
      break;
  }
  await enqueueOutboxEvent(tx, job, `fine_tuning.job.${ending.state}`);
  await wakeIntegrations(tx, job);
  return job;
}

function resultOf(ending: Ending): Prisma.Sql {
  switch (ending.state) {
    case 'succeeded':
      return Prisma.sql`fine_tuned_model = ${ending.fineTunedModel}, trained_tokens = ${ending.trainedTokens},
        training_end = ${ending.trainingEnd && JSON.stringify(ending.trainingEnd)}::jsonb${configurationOf(ending.winner)}`;
    case 'failed':
      return Prisma.sql`error = ${JSON.stringify(storable(ending.error))}::jsonb, trained_tokens = ${tokensOfJob}`;
    case 'cancelled':
      return Prisma.sql`error = NULL, trained_tokens = ${tokensOfJob}`;
  }
}

/** The error as a job may have it, whatever its source. */
function storable({ message, details, ...error }: JobError): JobError {
  return {
    ...error,
    message: shortened(message, MAX_MESSAGE),
    ...(details && { details: shortenedDetails(details) }),
  };
}

function configurationOf(winner: Pick<JobTrial, 'peft' | 'resolvedTraining'> | null): Prisma.Sql {
  if (!winner) return Prisma.empty;
  return Prisma.sql`, peft = ${JSON.stringify(winner.peft)}::jsonb,
    resolved_training = ${JSON.stringify(winner.resolvedTraining)}::jsonb`;
}

/** Returns the event messages of an end that was not simply the last step. */
function endMessages(end: TrainingEnd | null): string[] {
  if (!end) return [];
  const { step, totalSteps, reason, best, publishedStep, evaluationsWithoutGain: without } = end;
  const messages: string[] = [];
  if (reason === 'early_stopping') {
    const times = `${without} evaluation${without === 1 ? '' : 's'}`;
    const of = best ? `; the best, ${best.value.toFixed(4)}, was that of step ${best.step}` : '';
    messages.push(
      `Stopped early at step ${step} of ${totalSteps}: ${best?.metric ?? 'the metric'} was no better in ${times}${of}`,
    );
  }
  if (best && publishedStep !== step)
    messages.push(`The adapter of step ${publishedStep} is published, whose ${best.metric} is the best`);
  return messages;
}

function endData({ step, totalSteps, reason, publishedStep, best }: TrainingEnd) {
  return { step, total_steps: totalSteps, reason, published_step: publishedStep, best };
}
