import { createHmac } from 'node:crypto';
import pg from 'pg';
import { connectionOptions } from '../database/connection-options.ts';
import { workerRole } from '../database/worker-grants.ts';
import { type Cluster, clusterUrl } from './cluster.ts';
import { ensureRoles } from './ensure-roles.ts';

/**
 * Graft's logins in its embedded Postgres. They own nothing. API and operators use `graft_app`, which has no rights until it switches to
 * one of the roles of row-level security; workers use `graft_worker`, which is both login and role.
 */
type Login = 'graft_app' | typeof workerRole;

/** Returns the URL of a login with its password, which is derived from that of the cluster. */
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

/** Creates the logins and roles that are missing. Call under the lock of the cluster's folder. */
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

/**
 * Sets the passwords of the logins of API and workers on an external Postgres, and creates missing ones. Needs a login that may create
 * roles and a migrated database. The API's login inherits privileges, because it reads the list of migrations.
 */
export async function setLogins(
  sql: Pick<pg.ClientBase, 'query'>,
  passwords: Record<Login, string>,
): Promise<void> {
  const { rows } = await sql.query("SELECT 1 FROM pg_roles WHERE rolname = 'graft_app'");
  if (rows.length === 0)
    await sql.query('CREATE ROLE graft_app NOLOGIN INHERIT IN ROLE graft_team, graft_system');
  for (const [login, password] of Object.entries(passwords))
    await sql.query(`ALTER ROLE ${login} LOGIN PASSWORD ${pg.escapeLiteral(password)}`);
}
