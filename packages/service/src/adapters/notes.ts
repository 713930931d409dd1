import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { withAdapterLocked } from './adapter-tags.ts';

/** Writes the note of an adapter or of its version `number`; null removes it. Returns false if the team has no such adapter or version. */
export async function setNote(
  db: Database,
  teamId: string,
  { adapterId, number }: { adapterId: string; number: number | null },
  note: string | null,
  by: Actor,
): Promise<boolean> {
  const written = await withAdapterLocked(db, teamId, adapterId, async (tx) => {
    const live = { deletedAt: null };
    const { count } =
      number === null
        ? await tx.adapter.updateMany({
            where: { teamId, id: adapterId, versions: { some: live } },
            data: { note },
          })
        : await tx.adapterVersion.updateMany({
            where: { teamId, adapterId, number, ...live },
            data: { note },
          });
    if (count === 0) return null;
    // The audit log does not repeat the text: it may be long, and the row has it.
    const detail = { version: number, characters: note?.length ?? 0 };
    await insertAudit(tx, teamId, by, { action: 'adapter.note', target: adapterId, detail });
    return count;
  });
  return written !== null;
}
