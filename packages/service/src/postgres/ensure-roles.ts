import type pg from 'pg';
import { makeWorkerRole } from '../database/worker-grants.ts';

/** The roles that policies name (docs/decisions/0012-row-level-security.md): a team's requests, what works for all teams, and workers. */
const roles = ['graft_team', 'graft_system'];

/**
 * Makes the roles of row-level security unless the server has them. The migration does it too; a dump of a database holds no
 * roles, and cannot be restored without.
 */
export async function ensureRoles(client: Pick<pg.ClientBase, 'query'>): Promise<void> {
  for (const role of roles) {
    const { rowCount } = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [role]);
    if (rowCount) continue;
    await client.query(`CREATE ROLE ${role} NOLOGIN`).catch((error: { code?: string }) => {
      // Another process was faster; as Postgres says it before and after it looks.
      if (error.code !== '42710' && error.code !== '23505') throw error;
    });
  }
  await client.query(makeWorkerRole);
}
