import type { Prisma, PrismaClient } from '../generated/client.ts';

/**
 * Runs `work` in a transaction that names the team it acts for (`graft.team_id`, gone at its end): the seam where
 * row-level security will bite. Queries inside still take teamId themselves.
 */
export async function withTeam<T>(
  { db }: { db: PrismaClient },
  teamId: string,
  work: (tx: Prisma.TransactionClient) => Promise<T>,
): Promise<T> {
  return await db.$transaction(async (tx) => {
    await tx.$queryRaw`SELECT set_config('graft.team_id', ${teamId}, true)`;
    return await work(tx);
  });
}
