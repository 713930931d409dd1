import type pg from 'pg';
import { makeWorkerRole } from '../database/worker-grants.ts';

/** Roles named in policies (docs/decisions/0012-row-level-security.md): for a team's requests, and for work on all teams. */
const roles = ['graft_team', 'graft_system'];

/**
 * Creates the roles of row-level security that are missing. The migration creates them, too, but a dump of a database contains no roles and
 * cannot be restored without them.
 */
export async function ensureRoles(client: Pick<pg.ClientBase, 'query'>): Promise<void> {
  for (const role of roles) {
    const { rowCount } = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role]);
    if (rowCount) continue;
    await client.query(`CREATE ROLE ${role} NOLOGIN`).catch((error: { code?: string }) => {
      // Another process was faster; Postgres has one error for a role it finds and one for a concurrent insertion.
      if (error.code !== '42710' && error.code !== '23505') throw error;
    });
  }
  await client.query(makeWorkerRole);
}
