import {
  type CheckpointAdapter,
  checkpointAdapterOf,
  checkpointModelName,
  withJob,
} from '../../adapters/checkpoint-adapter.ts';
import { type Database, json } from '../../database/database.ts';
import { newId } from '../../ids.ts';
import type { AdapterFile, StoredArtifact } from '../../storage/artifact-store.ts';
import { fineTunedModelName, type Lease } from '../job.ts';
import { underLease } from './write-under-lease.ts';

/** Number of the newest adapters kept per job, besides the best. OpenAI keeps those of the last three epochs. */
export const keptCheckpointAdapters = 3;

export interface NewCheckpointAdapter extends StoredArtifact {
  step: number;
  lineage: Record<string, unknown>;
  metrics: CheckpointAdapter['metrics'];
  /** Step of the best evaluation so far; null if there was none. */
  bestStep: number | null;
}

/** Returns the job's adapter of this step if it has exactly these files: a resumed run produces the same adapters again. */
export async function findCheckpointAdapter(
  { db }: Database,
  job: { id: string; teamId: string },
  step: number,
  files: readonly AdapterFile[],
): Promise<StoredArtifact | null> {
  const { teamId, id: jobId } = job;
  const row = await db.checkpointAdapter.findFirst({ where: { teamId, jobId, step }, ...withJob });
  if (!row) return null;
  const { digest, artifact, bytes, files: kept } = checkpointAdapterOf(row);
  return listing(kept) === listing(files) ? { digest, artifact, bytes, files: kept } : null;
}

const listing = (files: readonly AdapterFile[]): string =>
  files
    .map(({ path, bytes, sha256 }) => `${path} ${bytes} ${sha256}`)
    .sort()
    .join('\n');

/**
 * Makes a stored adapter the job's adapter of its step, visible to users, and deletes adapters that are neither among the newest nor
 * the best. Safe to repeat. Returns the stored objects that no row refers to any more; null when fenced, and nothing is written.
 */
export async function recordCheckpointAdapter(
  db: Database,
  lease: Lease,
  { step, bestStep, lineage, metrics, ...stored }: NewCheckpointAdapter,
): Promise<string[] | null> {
  const unnamed: string[] = [];
  const held = await underLease(db, lease, ['running'], async (tx, { id: jobId, teamId }) => {
    const job = await tx.job.findFirstOrThrow({
      where: { teamId, id: jobId },
      select: { id: true, model: true, suffix: true, team: { select: { name: true } } },
    });
    const of = { teamId, jobId };
    const before = await tx.checkpointAdapter.findFirst({ where: { ...of, step } });
    if (before && before.artifact !== stored.artifact) unnamed.push(before.artifact);
    const { digest, artifact, bytes, files } = stored;
    const values = {
      digest,
      bytes,
      files: json(files),
      lineage: json(lineage),
      metrics: json(metrics),
      // A row must not start to refer to an old object: only a new name is written.
      ...(before?.artifact === artifact ? {} : { artifact }),
    };
    const modelName = checkpointModelName(fineTunedModelName(job, job.team.name), step);
    if (before) await tx.checkpointAdapter.updateMany({ where: { ...of, step }, data: values });
    else
      await tx.checkpointAdapter.create({
        data: { id: newId('checkpoint'), ...of, step, modelName, ...values, artifact },
        select: { id: true },
      });
    if (bestStep !== null) {
      await tx.checkpointAdapter.updateMany({
        where: { ...of, isBest: true, step: { not: bestStep } },
        data: { isBest: false },
      });
      await tx.checkpointAdapter.updateMany({ where: { ...of, step: bestStep }, data: { isBest: true } });
    }
    const all = await tx.checkpointAdapter.findMany({
      where: of,
      orderBy: { step: 'desc' },
      select: { id: true, artifact: true, isBest: true },
    });
    const given = all.slice(keptCheckpointAdapters).filter(({ isBest }) => !isBest);
    await tx.checkpointAdapter.deleteMany({ where: { ...of, id: { in: given.map(({ id }) => id) } } });
    unnamed.push(...given.map(({ artifact: name }) => name));
  });
  return held ? unnamed : null;
}
