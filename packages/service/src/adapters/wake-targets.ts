import type { Transaction } from '../database/database.ts';

/**
 * Makes the deploy targets that follow a tag due, in the transaction that changes the tag: one commit has both the move and the request for
 * the deployment. The generation makes them due again if a process is at work with what was wanted before.
 */
export async function wakeTargets(
  tx: Transaction,
  where: { teamId: string; adapterId: string; tag: string },
): Promise<void> {
  await tx.deployTarget.updateMany({
    where,
    data: { generation: { increment: 1 }, failures: 0, nextAttemptAt: new Date(0) },
  });
}
