import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Database } from '../database/database.ts';
import { inSystemTransaction } from '../database/in-transaction.ts';
import { endExitsOfPerson } from '../keys/revoke-api-key.ts';

/**
 * Permanently replaces everything that identifies a person, and ends their identities, sessions, keys and memberships, even as the last
 * admin of a team. Their actions remain under the opaque id, which identifies nobody. Returns false if there is no such person, or they
 * were erased before.
 */
export async function erasePerson(db: Database, id: string, by: Actor | null = null): Promise<boolean> {
  return await inSystemTransaction(db, async (tx) => {
    const [person] = await tx.$queryRaw<{ email: string }[]>`
        SELECT email FROM people WHERE id = ${id} AND erased_at IS NULL FOR UPDATE`;
    if (!person) return false;
    const address = `${id.toLowerCase()}@erased.invalid`;
    const memberships = await tx.$queryRaw<{ teamId: string }[]>`
        DELETE FROM memberships WHERE person_id = ${id} RETURNING team_id AS "teamId"`;
    const keys = await tx.$executeRaw`
        UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()), name = 'erased' WHERE person_id = ${id}`;
    await tx.$executeRaw`
        UPDATE operator_keys SET revoked_at = coalesce(revoked_at, now()), name = 'erased' WHERE person_id = ${id}`;
    // Deletes the rows instead of ending the sessions, because they contain the browser's user agent.
    const sessions = await tx.$executeRaw`
        DELETE FROM sessions WHERE person_id = ${id}
          OR api_key_id IN (SELECT k.id FROM api_keys k WHERE k.person_id = ${id})
          OR operator_key_id IN (SELECT k.id FROM operator_keys k WHERE k.person_id = ${id})`;
    const { count: identities } = await tx.personIdentity.deleteMany({ where: { personId: id } });
    await tx.scimUser.deleteMany({ where: { personId: id } });
    await tx.$executeRaw`
        UPDATE invitations SET revoked_at = now()
        WHERE (created_by = ${id} OR email = ${person.email}) AND revoked_at IS NULL AND accepted_at IS NULL`;
    await tx.$executeRaw`UPDATE invitations SET email = ${address} WHERE email = ${person.email}`;
    await tx.$executeRaw`
        UPDATE people SET email = ${address}, name = 'Erased person', is_operator = false, operator_source = 'manual',
          disabled_at = coalesce(disabled_at, now()), disabled_source = 'manual', erased_at = now()
        WHERE id = ${id}`;
    for (const { teamId } of memberships) {
      const { exitsLeft } = await endExitsOfPerson(tx, teamId, id, { by, endsExits: false });
      const detail = { reason: 'person_erased', exits_left: exitsLeft };
      await insertAudit(tx, teamId, by, { action: 'member.remove', target: id, detail });
    }
    const detail = { memberships: memberships.length, keys, sessions, identities };
    await insertAudit(tx, null, by, { action: 'person.erase', target: id, detail });
    return true;
  });
}
