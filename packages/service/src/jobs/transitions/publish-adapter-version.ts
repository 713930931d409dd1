import { type AdapterFile, type AdapterVersion, versionOf, withAdapter } from '../../adapters/adapter.ts';
import { type Database, json, type Transaction } from '../../database/database.ts';
import { inTransaction } from '../../database/in-transaction.ts';
import { Prisma } from '../../generated/client.ts';
import { newId } from '../../ids.ts';
import { fineTunedModelName, type Job, jobOf, type Lease } from '../job.ts';
import { holds, lockJob } from './change-job.ts';
import { endJob } from './end-job.ts';

export interface NewAdapterVersion {
  /** As `ArtifactStore.publish` answered, less than half a day ago: the files are already in place under this name. */
  artifact: string;
  digest: string;
  files: AdapterFile[];
  bytes: number;
  /** Digests of base, data and code; seed; resolved configuration. */
  lineage: Record<string, unknown>;
  metrics: Record<string, unknown> | null;
  trainedTokens: number;
}

/**
 * running → succeeded, with the adapter, its version and the outbox row, in one transaction: the only way anything
 * is ever published. Who asks again under the same lease, because it could not know, is answered what was published.
 * Null: fenced, or a cancel was asked before the commit (`heartbeatJob` tells which).
 */
export async function publishAdapterVersion(
  db: Database,
  lease: Lease,
  input: NewAdapterVersion,
): Promise<{ job: Job; version: AdapterVersion } | null> {
  return await inTransaction(db, async (tx) => {
    // The lock holds back a cancel from here to the commit.
    const guard = Prisma.sql`${holds(lease, 'running')} AND cancel_requested_at IS NULL`;
    const running = await lockJob(tx, guard);
    if (!running) return await readPublished(tx, lease);
    const version = await insertVersion(tx, running, input);
    const job = await endJob(tx, guard, {
      state: 'succeeded',
      fineTunedModel: version.modelName,
      trainedTokens: input.trainedTokens,
    });
    return job && { job, version };
  });
}

async function readPublished(
  tx: Transaction,
  { id, epoch }: Lease,
): Promise<{ job: Job; version: AdapterVersion } | null> {
  const job = await tx.job.findFirst({ where: { id, leaseEpoch: epoch, state: 'succeeded' } });
  const version = job && (await tx.adapterVersion.findFirst({ where: { jobId: id }, ...withAdapter }));
  return version && { job: jobOf(job), version: versionOf(version) };
}

async function insertVersion(tx: Transaction, job: Job, input: NewAdapterVersion): Promise<AdapterVersion> {
  const { teamId, id: jobId, model: baseModel } = job;
  const team = await tx.team.findFirstOrThrow({ where: { id: teamId } });
  const name = job.suffix ?? jobId.slice(-8);
  // An update that changes nothing locks the adapter's row: versions are numbered one after another, without gaps.
  const adapter = await tx.adapter.upsert({
    where: { teamId_baseModel_name: { teamId, baseModel, name } },
    create: { id: newId('adapter'), teamId, baseModel, name },
    update: { name },
  });
  const newest = await tx.adapterVersion.aggregate({
    where: { teamId, adapterId: adapter.id },
    _max: { number: true },
  });
  const row = await tx.adapterVersion.create({
    data: {
      id: newId('version'),
      teamId,
      adapterId: adapter.id,
      number: 1 + (newest._max.number ?? 0),
      jobId,
      modelName: fineTunedModelName(job, team.name),
      digest: input.digest,
      artifact: input.artifact,
      bytes: input.bytes,
      files: json(input.files),
      peft: json(job.peft),
      lineage: json(input.lineage),
      metrics: input.metrics === null ? Prisma.DbNull : json(input.metrics),
    },
    ...withAdapter,
  });
  return versionOf(row);
}
