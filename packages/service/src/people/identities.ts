/** Whom a provider knows a person as: made by signing in (sessions/sign-in-person.ts), and unlinked here. */
import { GraftError } from '@graft/peft-core/config';
import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { asSystem } from '../database/on-behalf-of.ts';
import type { PersonIdentity } from '../generated/client.ts';

/** A subject at a provider, which is one person here. A person has one at each provider. */
export type IdentityRecord = PersonIdentity;

/** Oldest first: all of a person's. */
export async function listIdentities({ db }: Database, personId: string): Promise<IdentityRecord[]> {
  return await asSystem(
    async () =>
      await db.personIdentity.findMany({
        where: { personId },
        orderBy: [{ createdAt: 'asc' }, { issuer: 'asc' }],
      }),
  );
}

/** Whom a subject at a provider is or, before their first sign-in, whose email it has. Null: nobody. */
export async function findSubject(
  { db }: Database,
  { issuer, subject, email = null }: { issuer: string; subject: string; email?: string | null },
): Promise<string | null> {
  return await asSystem(async () => {
    const known = await db.personIdentity.findFirst({ where: { issuer, subject } });
    if (known || email === null) return known?.personId ?? null;
    return (await db.person.findFirst({ where: { email: email.toLowerCase() } }))?.id ?? null;
  });
}

/**
 * Takes an identity from its person, and ends the sessions that it made, at once on every process. Its subject is from then on as one
 * that never signed in. `isWayIn`: whether people sign in at an issuer now; given, one such other must be left to the person. Null: the
 * last may go, too. False: the person has no such identity. Throws GraftError `last_identity`.
 */
export async function unlinkIdentity(
  db: Database,
  personId: string,
  id: string,
  isWayIn: ((issuer: string) => boolean) | null,
  by: Actor | null,
): Promise<boolean> {
  return await asSystem(async () =>
    inTransaction(db, async (tx) => {
      // All of them, so that two at once do not each leave the other's; it also waits for whoever signs in by one.
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
      // Of which identity a session is that tells none, nobody knows.
      const sessions = await tx.$executeRaw`
        UPDATE sessions SET ended_at = now()
        WHERE person_id = ${personId} AND ended_at IS NULL AND (identity_id = ${id} OR identity_id IS NULL)`;
      const detail = { issuer, identity: id, sessions };
      await insertAudit(tx, null, by, { action: 'person.unlink', target: personId, detail });
      return true;
    }),
  );
}
