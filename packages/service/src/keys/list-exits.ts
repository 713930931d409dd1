import type { Database } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { type Exit, type ExitMaker, isOfMaker, readExits } from './exits.ts';
import { keysMadeBy } from './revoke-api-key.ts';
import { findDeadKeys } from './verify-api-key.ts';

export interface ListedExit extends Exit {
  /** True where its maker has no access any more: the key was revoked or has expired, the person has left. Null: the maker is not known. */
  hasMakerLeft: boolean | null;
}

/** Lists a team's exits by kind and age; with `maker`, a key or a person, those of the maker and of the keys that the maker made. */
export async function listExits(
  database: Database,
  teamId: string,
  { maker, hasMakerLeft }: { maker?: string | undefined; hasMakerLeft?: boolean | undefined },
): Promise<ListedExit[]> {
  const exits = await inTransaction(database, async (tx) => {
    const all = await readExits(tx, teamId);
    if (maker === undefined) return all;
    const keys = await keysMadeBy(tx, teamId, maker);
    return all.filter((exit) => isOfMaker(exit, { keys, personId: maker }));
  });
  const hasLeft = await findEndedMakers(database, teamId, exits);
  const listed = exits.map((exit) => ({ ...exit, hasMakerLeft: hasLeft(exit) }));
  return hasMakerLeft === undefined ? listed : listed.filter((exit) => exit.hasMakerLeft === hasMakerLeft);
}

/** Returns which makers have no access any more; for exits of unknown makers the answer is null. */
async function findEndedMakers(
  database: Database,
  teamId: string,
  exits: readonly ExitMaker[],
): Promise<(exit: ExitMaker) => boolean | null> {
  const keys = exits.flatMap(({ madeByKey }) => madeByKey ?? []);
  const people = exits.flatMap(({ createdBy, madeByKey }) => (madeByKey === null && createdBy) || []);
  const dead = new Set(await findDeadKeys(database, keys));
  await keepSucceeded(database, teamId, dead);
  const members = await database.db.membership.findMany({
    where: { teamId, personId: { in: people }, person: { disabledAt: null } },
    select: { personId: true },
  });
  const present = new Set(members.map(({ personId }) => personId));
  return ({ createdBy, madeByKey }) => {
    if (madeByKey !== null) return dead.has(madeByKey);
    return createdBy === null ? null : !present.has(createdBy);
  };
}

/** Removes from `dead` the keys that were rotated, not revoked, and whose last successor works. */
async function keepSucceeded(database: Database, teamId: string, dead: Set<string>): Promise<void> {
  /** The key that the search has reached, by the key that it started from. */
  let reached = new Map([...dead].map((id) => [id, id]));
  for (let step = 0; step < 100 && reached.size > 0; step++) {
    const rows = await database.db.apiKey.findMany({
      where: { teamId, id: { in: [...reached.values()] }, revokedAt: null, replacedBy: { not: null } },
      select: { id: true, replacedBy: true },
    });
    const next = new Map(rows.map(({ id, replacedBy }) => [id, replacedBy!]));
    const ended = new Set(await findDeadKeys(database, [...next.values()]));
    const further = new Map<string, string>();
    for (const [from, at] of reached) {
      const successor = next.get(at);
      if (successor === undefined) continue;
      if (ended.has(successor)) further.set(from, successor);
      else dead.delete(from);
    }
    reached = further;
  }
}
