import { GraftError } from '@graft/peft-core/config';
import { insertAudit } from '../audit/insert-audit.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { insertEvent } from '../jobs/records/job-event.ts';
import { instruments } from '../observe/instruments.ts';
import type { Services } from '../services.ts';

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
 * line in the log. They are read through before each further use.
 */
export async function reportCorruption(
  services: Pick<Services, 'db' | 'log'>,
  object: ObjectRow,
  { code }: GraftError,
): Promise<void> {
  const { kind, teamId, id } = object;
  const first = await inTransaction(services, async (tx) => {
    const change = { where: { teamId, id, corruptAt: null }, data: { corruptAt: new Date() } };
    const { count } = await (kind === 'file'
      ? tx.file.updateMany(change)
      : kind === 'artifact'
        ? tx.adapterVersion.updateMany(change)
        : tx.checkpointAdapter.updateMany(change));
    if (count === 0) return false;
    await insertAudit(tx, teamId, { keyId: null, action: `${kind}.corrupt`, target: id, detail: { code } });
    if (object.kind !== 'file' && object.jobId !== null) {
      const message = `The stored files of ${object.modelName} are damaged (${code}); they are no longer served.`;
      await insertEvent(tx, { id: object.jobId, teamId }, { level: 'error', message, data: { code } });
    }
    return true;
  });
  if (!first) return;
  instruments.corruptions.inc({ kind });
  services.log.error({ event: 'object_corrupt', kind, teamId, id, code }, 'stored bytes are damaged');
}
