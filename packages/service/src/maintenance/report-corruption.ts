import { GraftError } from '@graft/peft-core/config';
import { graftItself } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { insertEvent } from '../jobs/records/job-event.ts';
import { instruments } from '../observe/instruments.ts';
import type { Services } from '../services.ts';
import { checkOwnDataFolder } from '../storage/prove-data-folder.ts';

/** A stored object by its row. */
export type ObjectRow =
  | { kind: 'file'; teamId: string; id: string }
  /** `checkpoint`: the adapter of a step along the way. */
  | {
      kind: 'artifact' | 'checkpoint';
      teamId: string;
      id: string;
      jobId: string | null;
      modelName: string;
    };

const damages = new Set(['file_corrupt', 'file_missing', 'artifact_corrupt', 'artifact_missing']);

/** Whether the error says that stored bytes are gone or not those of their row. */
export function isDamage(error: unknown): error is GraftError {
  return error instanceof GraftError && damages.has(error.code);
}

/**
 * Remembers in the row, the first time, that its bytes are damaged: with an audit row, for an adapter an event of its job, and a
 * line in the log. They are read through before each further use. False: this process looked in a folder that is not the
 * installation's, which is told in the log and says nothing of the object.
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
    const { count } = await (kind === 'file'
      ? tx.file.updateMany(change)
      : kind === 'artifact'
        ? tx.adapterVersion.updateMany(change)
        : tx.checkpointAdapter.updateMany(change));
    if (count === 0) return false;
    await insertAudit(tx, teamId, graftItself, { action: `${kind}.corrupt`, target: id, detail: { code } });
    if (object.kind !== 'file' && object.jobId !== null) {
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
