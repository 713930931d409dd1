import type { Transaction } from '../database/database.ts';

/** Revokes what a key or a person that may not invite any more has left open: whoever had it may still have the links. */
export async function revokeInvitationsOf(tx: Transaction, teamId: string, maker: string): Promise<void> {
  await tx.$executeRaw`
    UPDATE invitations SET revoked_at = now()
    WHERE team_id = ${teamId} AND created_by = ${maker} AND revoked_at IS NULL AND accepted_at IS NULL`;
}
