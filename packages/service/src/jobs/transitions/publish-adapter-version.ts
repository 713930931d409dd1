import { publishedPeft } from '@graft/peft-core/config';
import { type AdapterVersion, versionOf, withAdapter } from '../../adapters/adapter.ts';
import { type CreatedVersion, insertVersion } from '../../adapters/insert-version.ts';
import type { Database, Transaction } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { Prisma } from '../../generated/client.ts';
import { fineTunedModelName, type Job, jobOf, type Lease, type TrainingEnd } from '../job.ts';
import type { JobTrial } from '../records/job-trial.ts';
import { holds, lockJob } from './change-job.ts';
import { endJob } from './end-job.ts';

export interface NewAdapterVersion extends CreatedVersion {
  trainedTokens: number;
  trainingEnd?: TrainingEnd;
  /** Trial of a sweep that the adapter belongs to. */
  winner?: Pick<JobTrial, 'peft' | 'resolvedTraining'>;
}

/**
 * running → succeeded, with the adapter, its version and the outbox row, in one transaction: no other code publishes an
 * adapter that was trained here. A worker that asks again under the same lease, because it did not receive the answer, gets the published
 * version. Null when fenced, or if a cancel was requested before the commit (`heartbeatJob` distinguishes these).
 */
export async function publishAdapterVersion(
  db: Database,
  lease: Lease,
  input: NewAdapterVersion,
): Promise<{ job: Job; version: AdapterVersion } | null> {
  return await inTransaction(db, async (tx) => {
    // The lock delays a cancel from here to the commit.
    const guard = Prisma.sql`${holds(lease, 'running')} AND cancel_requested_at IS NULL`;
    const running = await lockJob(tx, guard);
    if (!running) return await readPublished(tx, lease);
    const version = await insertTrained(tx, running, input);
    const job = await endJob(tx, guard, {
      state: 'succeeded',
      fineTunedModel: version.modelName,
      trainedTokens: input.trainedTokens,
      trainingEnd: input.trainingEnd ?? null,
      winner: input.winner ?? null,
    });
    return job && { job, version };
  });
}

async function readPublished(
  tx: Transaction,
  { id, epoch, token }: Lease,
): Promise<{ job: Job; version: AdapterVersion } | null> {
  const job = await tx.job.findFirst({
    where: { id, leaseEpoch: epoch, leaseToken: token, state: 'succeeded' },
  });
  const version = job && (await tx.adapterVersion.findFirst({ where: { jobId: id }, ...withAdapter }));
  return version && { job: jobOf(job), version: versionOf(version) };
}

async function insertTrained(tx: Transaction, job: Job, input: NewAdapterVersion): Promise<AdapterVersion> {
  const { teamId, id: jobId, keyId, model: baseModel, systemPrompt } = job;
  const { trainingEnd, trainedTokens: _, winner, ...made } = input;
  const { peft } = winner ?? job;
  // Adapters of a lost attempt that got further than this one, which is possible if another version of Graft ran it.
  if (trainingEnd)
    await tx.checkpointAdapter.deleteMany({ where: { teamId, jobId, step: { gt: trainingEnd.step } } });
  // The last evaluation may have been the best; its adapter is published itself.
  if (trainingEnd?.best)
    await tx.checkpointAdapter.updateMany({
      where: { teamId, jobId, isBest: true, step: { not: trainingEnd.best.step } },
      data: { isBest: false },
    });
  const team = await tx.team.findFirstOrThrow({ where: { id: teamId } });
  const modelName = fineTunedModelName(job, team.name);
  const name = job.suffix ?? jobId.slice(-8);
  return await insertVersion(
    tx,
    { teamId, baseModel, name },
    { ...made, jobId, keyId, parentId: job.startFromId, modelName, peft: publishedPeft(peft), systemPrompt },
  );
}
