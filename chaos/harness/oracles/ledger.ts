import { checkUsage } from '@graft/service/usage';
import type { Rig } from '../rig.ts';

/** Differences between the usage ledger and the jobs, attempts, files and versions that it counts, as text. */
export async function ledgerFaults(rig: Rig): Promise<string[]> {
  const query = async (text: string) => ({ rows: await rig.postgres.query(text) });
  const differences = await checkUsage({ sql: { query } } as unknown as Parameters<typeof checkUsage>[0]);
  return differences
    .slice(0, 10)
    .map(
      ({ kind, subject, counted, entered }) =>
        `${kind} of ${subject}: ${counted ?? 'none'}, entered ${entered}`,
    );
}
