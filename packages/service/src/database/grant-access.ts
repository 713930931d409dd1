import type pg from 'pg';
import type { Database } from './database.ts';
import { grantWorkerAccess, hasWorkerAccess } from './worker-grants.ts';

interface Lack {
  /** Tables with row-level security on which the two roles have no privileges, as after a restore. */
  tables: string[];
  /** True where graft_system lacks access to the list of migrations, which a login without its own privileges reads. */
  ledger: boolean;
  /** True where the login is not a member of the roles. */
  membership: boolean;
  /** The roles that bypass policies. */
  unbound: string[];
  /** True where the workers' role has missing or excess privileges. */
  worker: boolean;
  login: string;
}

/**
 * Grants the roles of row-level security the privileges that they lack on a migrated database, and grants the login membership in them.
 * Throws if a role could bypass policies, or if the login may not grant what is missing; the message then describes what an administrator
 * must do.
 */
export async function grantAccess({ sql }: Pick<Database, 'sql'>): Promise<void> {
  if (isComplete(await readLack(sql))) return;
  const connection = await sql.connect();
  let fault: Error | undefined;
  try {
    await connection.query('BEGIN');
    // Processes that start together change the same catalogue rows. Roles belong to the cluster, so another database's process may, too.
    await connection.query("SELECT pg_advisory_xact_lock(hashtextextended('graft:access', 0))");
    const lack = await readLack(connection);
    await connection.query('SELECT graft_grant(name::regclass) FROM unnest($1::text[]) AS name', [
      lack.tables,
    ]);
    if (lack.ledger) await connection.query('GRANT SELECT ON _prisma_migrations TO graft_system');
    if (lack.membership) await connection.query('GRANT graft_team, graft_system TO CURRENT_USER');
    if (lack.worker) await grantWorkerAccess(connection);
    await connection.query('COMMIT');
  } catch (error) {
    fault = error as Error;
    throw explained(fault);
  } finally {
    connection.release(fault);
  }
}

/**
 * As `grantAccess`, for a schema that holds no team data and whose tables are created elsewhere: BullMQ's. `sql` is a connection of its
 * owner.
 */
export async function grantSchema({ sql }: Pick<Database, 'sql'>, schema: string): Promise<void> {
  const { rows } = await sql.query(
    `SELECT 1 FROM pg_namespace WHERE nspname = $1 AND (NOT has_schema_privilege('graft_worker', oid, 'USAGE')
       OR EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = pg_namespace.oid
                  AND NOT CASE WHEN relkind IN ('r', 'p', 'v') THEN has_table_privilege('graft_worker', pg_class.oid, 'DELETE')
                               WHEN relkind = 'S' THEN has_sequence_privilege('graft_worker', pg_class.oid, 'USAGE')
                               ELSE true END))`,
    [schema],
  );
  if (rows.length === 0) return;
  const connection = await sql.connect();
  let fault: Error | undefined;
  try {
    await connection.query(`BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('graft:access', 0));
      GRANT USAGE ON SCHEMA ${schema} TO graft_system, graft_worker;
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO graft_system, graft_worker;
      GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA ${schema} TO graft_system, graft_worker; COMMIT`);
  } catch (error) {
    fault = error as Error;
    throw explained(fault);
  } finally {
    connection.release(fault);
  }
}

/** Privileges granted to graft_system directly, not through its membership in graft_worker. */
const systemObject =
  "SELECT 1 FROM aclexplode(relacl) WHERE grantee = 'graft_system'::regrole AND privilege_type = 'SELECT'";

async function readLack(sql: Pick<pg.ClientBase, 'query'> | Database['sql']): Promise<Lack> {
  const { rows } = await (sql as pg.ClientBase).query<Omit<Lack, 'worker'>>(
    `SELECT current_user::text AS login,
       ARRAY(SELECT oid::regclass::text FROM pg_class
             WHERE relrowsecurity AND relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace
               AND NOT EXISTS (${systemObject})) AS tables,
       EXISTS (SELECT 1 FROM pg_class WHERE oid = '_prisma_migrations'::regclass AND NOT EXISTS (${systemObject})) AS ledger,
       NOT (pg_has_role('graft_team', 'MEMBER') AND pg_has_role('graft_system', 'MEMBER')) AS membership,
       ARRAY(SELECT rolname::text FROM pg_roles
             WHERE rolname IN ('graft_team', 'graft_system', 'graft_worker') AND (rolsuper OR rolbypassrls)) AS unbound`,
  );
  return { ...rows[0]!, worker: !(await hasWorkerAccess(sql as pg.ClientBase)) };
}

function isComplete({ tables, ledger, membership, unbound, worker }: Lack): boolean {
  if (unbound.length > 0) {
    throw new Error(
      `Row-level security does not hold for ${unbound.join(' and ')}: ` +
        `${unbound.map((role) => `ALTER ROLE ${role} NOSUPERUSER NOBYPASSRLS;`).join(' ')}`,
    );
  }
  return tables.length === 0 && !ledger && !membership && !worker;
}

function explained(fault: Error & { code?: string }): Error {
  if (fault.code !== '42501') return fault;
  return new Error(
    `The roles of row-level security lack rights that this login may not give (${fault.message}). Set GRAFT_MIGRATION_DATABASE_URL ` +
      'to a login that owns the tables, or as a superuser: CREATE ROLE graft_worker NOLOGIN; GRANT graft_worker TO graft_system, <the login that owns the tables>; ' +
      'GRANT graft_team, graft_system TO <the login of DATABASE_URL>;',
    { cause: fault },
  );
}
