/** Identities of people at providers: created by signing in (sessions/sign-in-person.ts), and unlinked here. */
import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { withSystemScope } from '../database/database-scope.ts';
import { inSystemTransaction } from '../database/in-transaction.ts';
import type { PersonIdentity } from '../generated/client.ts';

/** A subject at a provider that belongs to one person. A person can have identities at several providers. */
export type IdentityRecord = PersonIdentity;

/** Lists all identities of a person, oldest first. */
export async function listIdentities({ db }: Database, personId: string): Promise<IdentityRecord[]> {
  return await withSystemScope(
    async () =>
      await db.personIdentity.findMany({
        where: { personId },
        orderBy: [{ createdAt: 'asc' }, { issuer: 'asc' }],
      }),
  );
}

/** Returns the person of a subject at a provider, or, before the first sign-in, the person with this email. Null: nobody. */
export async function findSubject(
  { db }: Database,
  { issuer, subject, email = null }: { issuer: string; subject: string; email?: string | null },
): Promise<string | null> {
  return await withSystemScope(async () => {
    const known = await db.personIdentity.findFirst({ where: { issuer, subject } });
    if (known || email === null) return known?.personId ?? null;
    return (await db.person.findFirst({ where: { email: email.toLowerCase() } }))?.id ?? null;
  });
}

/**
 * Removes an identity from its person, and ends its sessions at once on every process. From then on its subject counts as one that never
 * signed in. `isWayIn` returns whether people can currently sign in at an issuer: the person must keep another such identity. With null the
 * last one may be removed, too. Returns false if the person has no such identity. Throws GraftError `last_identity`.
 */
export async function unlinkIdentity(
  db: Database,
  personId: string,
  id: string,
  isWayIn: ((issuer: string) => boolean) | null,
  by: Actor | null,
): Promise<boolean> {
  return await inSystemTransaction(db, async (tx) => {
    // Locks all identities, so that two concurrent calls cannot remove the last two; also waits for a sign-in by one of them.
    const identities = await tx.$queryRaw<Pick<IdentityRecord, 'id' | 'issuer' | 'subject'>[]>`
        SELECT id, issuer, subject FROM person_identities WHERE person_id = ${personId} ORDER BY id FOR UPDATE`;
    const found = identities.find((identity) => identity.id === id);
    if (!found) return false;
    const { issuer } = found;
    if (isWayIn && !identities.some((other) => other !== found && isWayIn(other.issuer))) {
      throw new GraftError(
        'last_identity',
        'By this identity alone you sign in here: only the operator of the service unlinks it.',
        { param: 'identity_id' },
      );
    }
    await tx.personIdentity.deleteMany({ where: { id } });
    // A session without a recorded identity may belong to this one.
    const sessions = await tx.$executeRaw`
        UPDATE sessions SET ended_at = now()
        WHERE person_id = ${personId} AND ended_at IS NULL AND (identity_id = ${id} OR identity_id IS NULL)`;
    const detail = { issuer, identity: id, sessions };
    await insertAudit(tx, null, by, { action: 'person.unlink', target: personId, detail });
    return true;
  });
}
