import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Transaction } from '../database/database.ts';
import { revokeKeys } from '../keys/revoke-api-key.ts';

/**
 * Notes that a provider vouches for the email of a person. The first time, whoever had only typed the email loses what that gave: keys of
 * the person, with their descendants, invitations and webhooks, in every team. Keys that the operator made stay. Memberships stay, and
 * are on record in each team as confirmed.
 */
export async function verifyPerson(tx: Transaction, personId: string, by: Actor): Promise<void> {
  if (await lockIsVerified(tx, personId)) return;
  await tx.$executeRaw`UPDATE people SET verified_at = now() WHERE id = ${personId}`;
  const keys = await tx.apiKey.findMany({
    where: { personId, createdBy: { not: null }, revokedAt: null },
    select: { id: true, teamId: true },
  });
  const memberships = await tx.membership.findMany({
    where: { personId },
    select: { teamId: true, role: true },
  });
  const detail = { reason: 'first_sign_in' };
  for (const teamId of new Set(keys.map((key) => key.teamId))) {
    const ids = keys.filter((key) => key.teamId === teamId).map(({ id }) => id);
    const revoked = await revokeKeys(tx, teamId, ids, { isDeep: true });
    const entry = { action: 'api_key.revoke', target: personId, detail: { ...detail, ...revoked } };
    await insertAudit(tx, teamId, by, entry);
  }
  for (const { teamId, role } of memberships) {
    const entry = { action: 'member.confirm', target: personId, detail: { ...detail, role } };
    await insertAudit(tx, teamId, by, entry);
  }
}

/**
 * Whether a provider has vouched for a person's email; none does until the transaction ends. Keys and memberships of the person may be
 * made meanwhile: their maker, who may hold a key that is revoked here, must not wait for this.
 */
export async function lockIsVerified(tx: Transaction, personId: string): Promise<boolean> {
  const rows = await tx.$queryRaw<{ verified: boolean }[]>`
    SELECT verified_at IS NOT NULL AS verified FROM people WHERE id = ${personId} FOR NO KEY UPDATE`;
  return rows[0]?.verified ?? false;
}
