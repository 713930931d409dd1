import type { Actor } from '../audit/actor.ts';
import { insertAudit } from '../audit/insert-audit.ts';
import type { Transaction } from '../database/database.ts';
import { detailOf, revokeKeys } from '../keys/revoke-api-key.ts';

/**
 * Records that a provider has verified the email of a person. The first time, revokes the person's keys in every team with their
 * descendants, invitations and exits: somebody else may have entered the email to obtain them. Keys that the operator made and
 * memberships stay; the audit log of each team records that the membership is confirmed.
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
    const revoked = await revokeKeys(tx, teamId, ids, { by, isDeep: true });
    const entry = { action: 'api_key.revoke', target: personId, detail: { ...detail, ...detailOf(revoked) } };
    await insertAudit(tx, teamId, by, entry);
  }
  for (const { teamId, role } of memberships) {
    const entry = { action: 'member.confirm', target: personId, detail: { ...detail, role } };
    await insertAudit(tx, teamId, by, entry);
  }
}

/**
 * Returns whether a provider has verified a person's email, and locks the person so that this does not change before the transaction ends.
 * Keys and memberships of the person can still be created: their maker may hold a key that is revoked here, and must not wait for this
 * lock.
 */
export async function lockIsVerified(tx: Transaction, personId: string): Promise<boolean> {
  const rows = await tx.$queryRaw<{ verified: boolean }[]>`
    SELECT verified_at IS NOT NULL AS verified FROM people WHERE id = ${personId} FOR NO KEY UPDATE`;
  return rows[0]?.verified ?? false;
}
