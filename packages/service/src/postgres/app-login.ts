import { createHmac } from 'node:crypto';
import pg from 'pg';
import { connectionOptions } from '../database/connection-options.ts';
import { type Cluster, clusterUrl } from './cluster.ts';

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
    const names = ['graft_team', 'graft_system', login];
    const { rows } = await client.query<{ rolname: string }>(
      'SELECT rolname FROM pg_roles WHERE rolname = ANY($1)',
      [names],
    );
    const [team, system, app] = names.map((name) => rows.some(({ rolname }) => rolname === name));
    if (!team) await client.query('CREATE ROLE graft_team NOLOGIN').catch(unlessThere);
    if (!system) await client.query('CREATE ROLE graft_system NOLOGIN').catch(unlessThere);
    if (!app) {
      const password = pg.escapeLiteral(passwordOf(cluster));
      await client.query(
        `CREATE ROLE ${login} LOGIN NOINHERIT PASSWORD ${password} IN ROLE graft_team, graft_system`,
      );
    }
  } finally {
    await client.end();
  }
}

/** A migration may make the same role at the same moment. */
function unlessThere(error: { code?: string }): void {
  if (error.code !== '42710' && error.code !== '23505') throw error;
}

function passwordOf({ password }: Pick<Cluster, 'password'>): string {
  return createHmac('sha256', password).update(login).digest('hex');
}
