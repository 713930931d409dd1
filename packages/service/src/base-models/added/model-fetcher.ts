import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { GraftError } from '@graft/peft-core/config';
import { findHubCommit } from '@graft/peft-core/files';
import type { Logger } from 'pino';
import type { Database } from '../../database/database.ts';
import { isDatabaseUnavailable } from '../../database/database-unavailable.ts';
import { digestFolder } from '../../environment/cache-folder.ts';
import type { ServiceEnv } from '../../environment/env.ts';
import { Prisma } from '../../generated/client.ts';
import { type Repeating, repeat } from '../../repeat.ts';
import { keepLease } from '../../work/keep-lease.ts';
import {
  backOff,
  claimWork,
  endWork,
  failLostWork,
  releaseWork,
  renewWork,
  teamsInTurn,
  type WorkKind,
  type WorkLease,
} from '../../work/leased-work.ts';
import { admitBaseModel } from '../admit-base-model.ts';
import { baseModelFault, isLastingModelFault } from '../base-model-fault.ts';
import { openLocalModel } from '../open-local-model.ts';
import { type AddedModel, addedModelOf, type ModelFile } from './added-model.ts';
import { addedModelsFolder, describeModel, ensureModel, hubOptions } from './ensure-model.ts';

const { raw, sql } = Prisma;

/** Added models as leased work: the process that holds a model's lease fetches it. */
export const fetchWork = {
  table: 'added_base_models',
  key: { id: 'id' },
  token: 'holder',
  due: 'not_before',
  state: { column: 'state', waiting: 'queued', leased: 'fetching', failed: 'failed' },
  ended: 'finished_at',
  countsAttempts: true,
} as const satisfies WorkKind<'id'>;

/** Seconds without a renewal after which a lease expires. */
const leaseSeconds = 30;
/** Number of attempts after which a transient error fails the model. */
const maxAttempts = 8;
/** Delays of 10 s, 20 s, 40 s, … */
const times = { firstSeconds: 10, longestSeconds: 3_600 };

type FetchLease = WorkLease<'id'>;

/**
 * Claims the model that has been due longest, or whose lease has expired; null if there is none. Fails a model whose processes were lost
 * `maxAttempts` times, because fetching it may crash them.
 */
export async function claimFetch(db: Database): Promise<{ model: AddedModel; lease: FetchLease } | null> {
  const message = `The process that fetched the model was lost, ${maxAttempts} times.`;
  const error = { code: 'base_model_unavailable', message };
  await failLostWork(db, fetchWork, { attempts: maxAttempts, leaseSeconds, error });
  const size = { count: 1, leaseSeconds };
  const [lease] = await claimWork(db, fetchWork, {
    ...size,
    places: teamsInTurn(fetchWork, { ...size, perTeam: Number.MAX_SAFE_INTEGER }),
    set: raw('started_at = coalesce(started_at, now())'),
  });
  const row = lease && (await db.db.addedBaseModel.findFirst({ where: { id: lease.id } }));
  return row ? { model: addedModelOf(row), lease: lease! } : null;
}

/** Renews the lease and records the progress of the fetch. Returns false if another process holds the lease or the model was removed. */
export async function keepFetch(
  db: Pick<Database, 'sql'>,
  lease: FetchLease,
  { bytesDone, bytesTotal, commit }: Pick<AddedModel, 'bytesDone' | 'bytesTotal' | 'commit'>,
): Promise<boolean> {
  return await renewWork(db, fetchWork, lease, {
    leaseSeconds,
    set: sql`bytes_done = ${bytesDone}, bytes_total = coalesce(${bytesTotal}, bytes_total), commit = coalesce(commit, ${commit})`,
  });
}

/** Marks the model as ready, when it is complete, verified and opened: teams find it from now on. Returns false if the lease was lost. */
export async function finishFetch(
  db: Pick<Database, 'sql'>,
  lease: FetchLease,
  found: { files: ModelFile[]; modelType: string; digest: string },
): Promise<boolean> {
  const bytes = found.files.reduce((sum, file) => sum + file.bytes, 0);
  const set = sql`error = NULL, bytes_done = ${bytes}, bytes_total = ${bytes}, files = ${JSON.stringify(found.files)}::jsonb,
    model_type = ${found.modelType}, digest = ${found.digest}`;
  return (await endWork(db, fetchWork, lease, { state: 'ready', set })) !== null;
}

/**
 * Ends a failed attempt. A transient error is retried, up to eight attempts in all; any other error fails the model. Returns the new state;
 * null if the lease was lost.
 */
async function failFetch(
  db: Pick<Database, 'sql'>,
  lease: FetchLease,
  error: { code: string; message: string },
  isTransient: boolean,
): Promise<'queued' | 'failed' | null> {
  const row = await endWork<'id', { state: 'queued' | 'failed' }>(
    db,
    fetchWork,
    lease,
    {
      failsIf: sql`(NOT ${isTransient}::boolean OR attempts >= ${maxAttempts})`,
      due: backOff(times, raw('attempts - 1')),
      set: sql`error = ${JSON.stringify(error)}::jsonb`,
    },
    raw('state'),
  );
  return row?.state ?? null;
}

type FetchServices = Database & { env: ServiceEnv; log: Logger };

/** Transient errors: the Hub or an S3 server is unavailable, or this machine has an internal error. */
const transientCodes = new Set(['base_model_unavailable', 'storage_away', 'internal_error']);
const unexpectedError = {
  code: 'internal_error',
  message: 'A fault of the server; its log has the details.',
};

/**
 * Fetches the models that the operator adds, one after another, in the background. A model is verified, opened and digested as for a job
 * before teams find it. One process at a time fetches a model; if that process stops, another one on the same disk resumes. Calling `wake`
 * starts a round at once.
 */
export function startModelFetcher(services: FetchServices, { sweepMs = 5_000 } = {}): Repeating {
  const round = async (stopping: AbortSignal) => {
    await removeDeletedModels(services);
    while (!stopping.aborted) {
      const claimedAt = performance.now();
      const claimed = await claimFetch(services);
      if (!claimed) return;
      await fetchModel(services, { ...claimed, claimedAt }, stopping);
    }
  };
  return repeat('base-model-fetcher', sweepMs, round, services.log);
}

async function fetchModel(
  services: FetchServices,
  { model, lease, claimedAt }: { model: AddedModel; lease: FetchLease; claimedAt: number },
  stopping: AbortSignal,
): Promise<void> {
  const { log } = services;
  const progress: Pick<AddedModel, 'bytesDone' | 'bytesTotal' | 'commit'> = {
    bytesDone: 0,
    bytesTotal: null,
    commit: model.commit,
  };
  const fields = { baseModel: model.modelId };
  // While Postgres is unavailable the lease expires; the next renewal detects it.
  const held = keepLease(
    { claimedAt, leaseSeconds, everyMs: 1000 },
    () => keepFetch(services, lease, progress),
    () => {},
  );
  const signal = AbortSignal.any([stopping, held.lost]);
  try {
    const fetched = await fetchAndOpen(services, model, progress, lease, signal);
    signal.throwIfAborted();
    if (await finishFetch(services, lease, fetched))
      log.info({ event: 'base_model_ready', ...fields }, 'ready');
  } catch (error) {
    if (held.lost.aborted) return;
    if (stopping.aborted) return await releaseWork(services, fetchWork, lease);
    if (isDatabaseUnavailable(error)) throw error;
    const { code, message } = error instanceof GraftError ? error : unexpectedError;
    const state = await failFetch(services, lease, { code, message }, transientCodes.has(code));
    log.warn({ event: 'base_model_not_fetched', ...fields, state, err: error }, 'not fetched');
  } finally {
    held.end();
  }
}

async function fetchAndOpen(
  services: FetchServices,
  model: AddedModel,
  progress: Pick<AddedModel, 'bytesDone' | 'bytesTotal' | 'commit'>,
  lease: FetchLease,
  signal: AbortSignal,
) {
  const { db, env } = services;
  const { id: installation } = await db.installation.findFirstOrThrow();
  const folder = path.join(addedModelsFolder(env, installation), model.id);
  if (model.source === 'hub' && progress.commit === null) {
    const spec = { hub: model.location, revision: model.revision ?? undefined };
    progress.commit = await findHubCommit(spec, hubOptions(env, folder));
    // Recorded before the first byte, so that a process that resumes the fetch uses the same commit.
    if (!(await keepFetch(services, lease, progress))) throw new Error('the lease was lost');
    await dropOtherCommits(folder, progress.commit);
  }
  const location = await ensureModel({ ...model, commit: progress.commit }, folder, env, {
    onFiles: (files) => {
      progress.bytesTotal = files.reduce((sum, { size }) => sum + size, 0);
    },
    onBytes: (bytes) => {
      progress.bytesDone += bytes;
    },
    signal,
  }).catch((error: unknown): never => {
    throw forOperator(error, model, env.cacheDir);
  });
  try {
    const opened = await openLocalModel(model.modelId, location, [env.cacheDir], digestFolder(env.cacheDir));
    const files = await describeModel(location, opened.weightFiles, signal);
    const digest = await admitBaseModel(services, opened);
    return { files, modelType: opened.modelType, digest };
  } catch (error) {
    // The operator fixes an S3 prefix in place: no retry or job on this machine may reuse the files that were refused.
    const isRefused = error instanceof GraftError && !transientCodes.has(error.code);
    if (model.source === 's3' && isRefused) await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Removes the files of an earlier attempt if the revision now resolves to another commit. */
async function dropOtherCommits(folder: string, commit: string): Promise<void> {
  const left = await readdir(folder, { recursive: true }).catch(() => []);
  if (!left.some((name) => path.basename(name).startsWith(commit)))
    await rm(folder, { recursive: true, force: true });
}

/** Returns the error to show to the operator: for broken files the same as for a team, otherwise the details. */
function forOperator(error: unknown, { modelId, source, location }: AddedModel, cacheDir: string): unknown {
  if (!(error instanceof GraftError)) return error;
  if (error.code === 'file_not_found') {
    const message = `${location} must exist on every machine; there is nothing on the one that fetches the model`;
    return new GraftError('base_model_not_found', message, { param: 'model', cause: error });
  }
  const isOfHub = error.code === 'base_model_not_found' || error.code === 'base_model_access_denied';
  if (isOfHub || !isLastingModelFault(error.code)) return error;
  return baseModelFault(error, modelId, source === 'folder' ? [location] : [cacheDir]);
}

/** Removes the local files of models that the operator has removed. */
export async function removeDeletedModels({ db, env }: Pick<FetchServices, 'db' | 'env'>): Promise<number> {
  const { id: installation } = await db.installation.findFirstOrThrow();
  const root = addedModelsFolder(env, installation);
  const ids = await readdir(root).catch(() => [] as string[]);
  if (ids.length === 0) return 0;
  const rows = await db.addedBaseModel.findMany({ where: { id: { in: ids } }, select: { id: true } });
  const known = new Set(rows.map(({ id }) => id));
  const forgotten = ids.filter((id) => !known.has(id));
  for (const id of forgotten) await rm(path.join(root, id), { recursive: true, force: true });
  return forgotten.length;
}
