import type { Transaction } from '../database/database.ts';

/** Revokes the open invitations of a key or person that may no longer invite: its former user may still have the links. */
export async function revokeInvitationsOf(tx: Transaction, teamId: string, maker: string): Promise<void> {
  await tx.$executeRaw`
    UPDATE invitations SET revoked_at = now()
    WHERE team_id = ${teamId} AND created_by = ${maker} AND revoked_at IS NULL AND accepted_at IS NULL`;
}
