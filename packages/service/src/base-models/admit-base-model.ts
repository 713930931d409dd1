import { GraftError } from '@graft/peft-core/config';
import type { Logger } from 'pino';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { asSystem } from '../database/on-behalf-of.ts';
import type { BaseModelCatalogue, LocalBaseModel } from './catalogue.ts';

/** What each database has admitted, and when: a completion need not ask again for a minute. */
const admitted = new WeakMap<object, Map<string, { digest: string; until: number }>>();
const admittedMs = 60_000;

/**
 * Its digest, once that is known to be the one under which this installation first used the model; the first use records it. Throws
 * GraftError `base_model_changed`: this machine's weights are others, damaged or replaced; nothing may be made with them.
 */
export async function admitBaseModel(
  { db, log }: Pick<Database, 'db'> & { log: Logger },
  model: Pick<LocalBaseModel, 'id' | 'digest'>,
): Promise<string> {
  const digest = await model.digest();
  const { id } = model;
  const known = admitted.get(db) ?? new Map<string, { digest: string; until: number }>();
  admitted.set(db, known);
  const before = known.get(id);
  if (before?.digest === digest && performance.now() < before.until) return digest;
  // Which weights a model has is the installation's, whoever's job is the first to use it.
  const recorded = await asSystem(async () => {
    await db.baseModel.createMany({ data: [{ id, digest }], skipDuplicates: true });
    return await db.baseModel.findFirst({ where: { id } });
  });
  if (recorded && recorded.digest !== digest) {
    log.error(
      { event: 'base_model_changed', baseModel: id, digest, recorded: recorded.digest },
      'other weights',
    );
    throw new GraftError(
      'base_model_changed',
      `The weights of ${id} on this worker are not those that it was first used with: they are damaged, or were replaced. Whoever has replaced them on purpose runs: graft admin base-models forget ${id}`,
      { fault: 'environment', param: 'model' },
    );
  }
  known.set(id, { digest, until: performance.now() + admittedMs });
  return digest;
}

/** Reads opened weights through and logs those that have changed without a trace: `admitBaseModel` refuses them from then on. */
export async function scrubBaseModels(
  { baseModels, log }: { baseModels: Pick<BaseModelCatalogue, 'scrub'>; log: Logger },
  signal: AbortSignal,
): Promise<void> {
  for (const id of await baseModels.scrub(signal)) {
    log.error({ event: 'base_model_corrupt', baseModel: id }, 'weights have changed on disk without a trace');
  }
}

export interface RecordedBaseModel {
  id: string;
  /** SHA-256 of the weights. */
  digest: string;
  createdAt: Date;
}

/** The base models that were used, and the weights of their first use. */
export async function listRecordedBaseModels({ db }: Pick<Database, 'db'>): Promise<RecordedBaseModel[]> {
  return await db.baseModel.findMany({ orderBy: { id: 'asc' } });
}

/** The next use of the model records its weights anew. False: it was never used. */
export async function forgetBaseModel(db: Database, id: string, by: Actor): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const { count } = await tx.baseModel.deleteMany({ where: { id } });
    if (count > 0) await insertAudit(tx, null, by, { action: 'base_model.forget', target: id });
    return count > 0;
  });
}
