import { createHmac } from 'node:crypto';
import pg from 'pg';
import { connectionOptions } from '../database/connection-options.ts';
import { workerRole } from '../database/worker-grants.ts';
import { type Cluster, clusterUrl } from './cluster.ts';
import { ensureRoles } from './ensure-roles.ts';

/**
 * Graft's own logins in its embedded Postgres. Neither owns anything. `graft_app` is the API's and operators', and nobody until it
 * becomes one of the roles of row-level security; `graft_worker` is the workers', and their role.
 */
type Login = 'graft_app' | typeof workerRole;

/** With its password, which follows from that of the cluster. */
export function loginUrl(
  cluster: Pick<Cluster, 'port' | 'password'>,
  login: Login,
  database: string,
): string {
  const url = new URL(clusterUrl(cluster, database));
  url.username = login;
  url.password = passwordOf(cluster, login);
  return url.href;
}

/** Makes the logins and the roles, unless they are there. To be called under the lock of the cluster's folder. */
export async function ensureLogins(cluster: Cluster): Promise<void> {
  const client = new pg.Client(connectionOptions(clusterUrl(cluster, 'postgres'), 'graft'));
  await client.connect();
  try {
    await ensureRoles(client);
    const { rows } = await client.query<{ rolname: string }>(
      `SELECT rolname FROM pg_roles WHERE rolname IN ('graft_app', '${workerRole}') AND rolcanlogin`,
    );
    const lacks = (login: Login) => !rows.some(({ rolname }) => rolname === login);
    const password = (login: Login) => pg.escapeLiteral(passwordOf(cluster, login));
    if (lacks('graft_app'))
      await client.query(
        `CREATE ROLE graft_app LOGIN NOINHERIT PASSWORD ${password('graft_app')} IN ROLE graft_team, graft_system`,
      );
    if (lacks(workerRole))
      await client.query(`ALTER ROLE ${workerRole} LOGIN PASSWORD ${password(workerRole)}`);
  } finally {
    await client.end();
  }
}

function passwordOf({ password }: Pick<Cluster, 'password'>, login: Login): string {
  return createHmac('sha256', password).update(login).digest('hex');
}
