import { GraftError } from '@graft/peft-core/config';
import { graftItself } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { insertEvent } from '../jobs/records/job-event.ts';
import { instruments } from '../observe/instruments.ts';
import type { Services } from '../services.ts';
import { checkOwnDataFolder } from '../storage/prove-data-folder.ts';

export type ObjectRow =
  | { kind: 'file'; teamId: string; id: string }
  | { kind: 'export'; teamId: string; id: string }
  /** `checkpoint`: the adapter of an intermediate step. */
  | { kind: 'artifact' | 'checkpoint'; teamId: string; id: string; jobId: string | null; modelName: string };

const damages = new Set(['file_corrupt', 'file_missing', 'artifact_corrupt', 'artifact_missing']);

/** Checks whether the error means that stored bytes are missing or do not match their row. */
export function isDamage(error: unknown): error is GraftError {
  return error instanceof GraftError && damages.has(error.code);
}

/**
 * Records in the row, the first time, that its bytes are damaged, with an audit row, an event of the job for an adapter, and a log line.
 * Damaged objects are verified before each further use. Returns false if this process looked in a data folder that is not the
 * installation's: that is logged, and the object may be intact.
 */
export async function reportCorruption(
  services: Pick<Services, 'db' | 'log' | 'env'>,
  object: ObjectRow,
  { code }: GraftError,
): Promise<boolean> {
  const { kind, teamId, id } = object;
  try {
    await checkOwnDataFolder(services);
  } catch (error) {
    services.log.error(
      { err: error, event: 'object_not_found_here', kind, teamId, id, code },
      'wrong data folder',
    );
    return false;
  }
  const first = await inTransaction(services, async (tx) => {
    const change = { where: { teamId, id, corruptAt: null }, data: { corruptAt: new Date() } };
    const { count } = await {
      file: () => tx.file.updateMany(change),
      export: () => tx.adapterExport.updateMany(change),
      artifact: () => tx.adapterVersion.updateMany(change),
      checkpoint: () => tx.checkpointAdapter.updateMany(change),
    }[kind]();
    if (count === 0) return false;
    await insertAudit(tx, teamId, graftItself, { action: `${kind}.corrupt`, target: id, detail: { code } });
    if ('jobId' in object && object.jobId !== null) {
      const message = `The stored files of ${object.modelName} are damaged (${code}); they are no longer served.`;
      await insertEvent(tx, { id: object.jobId, teamId }, { level: 'error', message, data: { code } });
    }
    return true;
  });
  if (!first) return true;
  instruments.corruptions.inc({ kind });
  services.log.error({ event: 'object_corrupt', kind, teamId, id, code }, 'stored bytes are damaged');
  return true;
}
