import { GraftError } from '@graft/peft-core/config';
import type { Logger } from 'pino';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { withSystemScope } from '../database/database-scope.ts';
import { inTransaction } from '../database/in-transaction.ts';
import type { BaseModelCatalogue, LocalBaseModel } from './catalogue.ts';

/** The models that each database has admitted, and when: a completion skips the query for a minute. */
const admitted = new WeakMap<object, Map<string, { digest: string; until: number }>>();
const admittedMs = 60_000;

/**
 * Returns the model's digest after comparing it with the one recorded when this installation first used the model; the first use records
 * it. Throws GraftError `base_model_changed` if the weights on this machine differ, damaged or replaced: they must not be used.
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
  // The record belongs to the installation, not to the team whose job uses the model first.
  const recorded = await withSystemScope(async () => {
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
      `The weights of ${id} on this worker are not those that it was first used with: they are damaged, or were replaced. If you replaced them on purpose, run: graft admin base-models forget ${id}`,
      { fault: 'environment', param: 'model' },
    );
  }
  known.set(id, { digest, until: performance.now() + admittedMs });
  return digest;
}

/** Rereads opened weights and logs silent changes on disk; `admitBaseModel` rejects changed models from then on. */
export async function scrubBaseModels(
  { baseModels, log }: { baseModels: Pick<BaseModelCatalogue, 'scrub'>; log: Logger },
  signal: AbortSignal,
): Promise<void> {
  for (const id of await baseModels.scrub(signal)) {
    log.error({ event: 'base_model_corrupt', baseModel: id }, 'weights have changed on disk without a trace');
  }
}

/** Forgets the recorded digest: the next use of the model records its weights again. Returns false if the model was never used. */
export async function forgetBaseModel(db: Database, id: string, by: Actor): Promise<boolean> {
  return await inTransaction(db, async (tx) => {
    const { count } = await tx.baseModel.deleteMany({ where: { id } });
    if (count > 0) await insertAudit(tx, null, by, { action: 'base_model.forget', target: id });
    return count > 0;
  });
}
