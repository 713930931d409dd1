import { createHmac } from 'node:crypto';
import pg from 'pg';
import { connectionOptions } from '../database/connection-options.ts';
import { type Cluster, clusterUrl } from './cluster.ts';
import { ensureRoles } from './ensure-roles.ts';

/** Graft's own login in its embedded Postgres: it owns nothing, and is nobody until it becomes one of the roles of row-level security. */
const login = 'graft_app';

/** With its password, which follows from that of the cluster. */
export function appUrl(cluster: Pick<Cluster, 'port' | 'password'>, database: string): string {
  const url = new URL(clusterUrl(cluster, database));
  url.username = login;
  url.password = passwordOf(cluster);
  return url.href;
}

/** Makes the login and the roles, unless they are there. To be called under the lock of the cluster's folder. */
export async function ensureAppLogin(cluster: Cluster): Promise<void> {
  const client = new pg.Client(connectionOptions(clusterUrl(cluster, 'postgres'), 'graft'));
  await client.connect();
  try {
    await ensureRoles(client);
    const { rowCount } = await client.query('SELECT 1 FROM pg_roles WHERE rolname = $1', [login]);
    if (rowCount) return;
    const password = pg.escapeLiteral(passwordOf(cluster));
    await client.query(
      `CREATE ROLE ${login} LOGIN NOINHERIT PASSWORD ${password} IN ROLE graft_team, graft_system`,
    );
  } finally {
    await client.end();
  }
}

function passwordOf({ password }: Pick<Cluster, 'password'>): string {
  return createHmac('sha256', password).update(login).digest('hex');
}
