import type { Database } from '../database/database.ts';
import { createEgressRules, type EgressRules } from './address-rules.ts';

/** Returns what a setting of the operator opens for a team. The name of a deleted team, which is renamed, still counts. */
export async function teamRules(
  { db }: Pick<Database, 'db'>,
  teamId: string,
  { entries, setting }: { entries: readonly string[]; setting: string },
): Promise<EgressRules> {
  if (!entries.some((entry) => entry.includes('='))) return createEgressRules(entries, setting);
  const team = await db.team.findFirst({ where: { id: teamId }, select: { name: true } });
  const name = team?.name.replace(` deleted ${teamId}`, '') ?? '';
  return createEgressRules(entries, setting, { id: teamId, name });
}
