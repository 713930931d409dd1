import type pg from 'pg';
import type { Logger } from 'pino';

/** Postgres role of workers, for work of one team or of all teams. */
export const workerRole = 'graft_worker';

/**
 * Privileges of workers by table, in the syntax of GRANT; no access to other tables. None of these columns contains a secret or identifies
 * a person. docs/security.md has the resulting table.
 */
const workerGrants: Readonly<Record<string, string>> = {
  _prisma_migrations: 'SELECT',
  installation: 'SELECT, UPDATE (data_folder)',
  // Locking a team's row requires the UPDATE privilege on some column.
  teams: 'SELECT, UPDATE (created_at)',
  team_turns: 'SELECT, INSERT, UPDATE',
  turn_clocks: 'SELECT, INSERT, UPDATE',
  files: 'SELECT, UPDATE (corrupt_at, verified_at)',
  jobs: 'SELECT, UPDATE',
  job_trials: 'SELECT, UPDATE',
  job_integrations: 'SELECT (team_id, job_id, status, next_attempt_at), UPDATE (next_attempt_at)',
  job_events: 'SELECT, INSERT',
  validation_results: 'SELECT',
  job_attempts: 'SELECT, INSERT, UPDATE',
  job_metrics: 'SELECT, INSERT, UPDATE, DELETE',
  checkpoints: 'SELECT, INSERT, UPDATE, DELETE',
  checkpoint_adapters: 'SELECT, INSERT, UPDATE, DELETE',
  adapters: 'SELECT, INSERT, UPDATE (name)',
  adapter_tags: 'SELECT',
  adapter_exports: 'SELECT, UPDATE',
  adapter_versions: 'SELECT, INSERT, UPDATE (corrupt_at, verified_at)',
  base_models: 'SELECT, INSERT, DELETE',
  added_base_models: 'SELECT',
  limited_base_models: 'SELECT',
  base_model_rules: 'SELECT',
  workers: 'SELECT, INSERT, UPDATE, DELETE',
  channel_keys: 'SELECT',
  loop_turns: 'SELECT, INSERT, UPDATE',
  outbox: 'SELECT (id, event_id), INSERT',
  usage_ledger: 'SELECT, INSERT',
  audit_log: 'SELECT (id), INSERT (team_id, key_id, person_id, system, action, target, detail)',
};

/** Row conditions that differ from the default (the current team's rows, or all): one condition, or one for each command. */
const rules: Readonly<Record<string, string | Record<string, string>>> = {
  // Entries about damaged objects, without a key or a person.
  audit_log: "(system = 'graft' AND key_id IS NULL AND person_id IS NULL AND action LIKE '%.corrupt')",
  // Reads all rows, to compute turns, and deletes rows of dead workers; only the process that wrote a row updates it.
  workers: {
    SELECT: 'USING (true)',
    INSERT: 'WITH CHECK (writer = graft_writer())',
    UPDATE: 'USING (writer = graft_writer()) WITH CHECK (writer = graft_writer())',
    DELETE: 'USING (true)',
  },
};

/** A privilege; an empty `column` means the whole table. */
interface Grant {
  table: string;
  column: string;
  privilege: string;
}

const keyOf = ({ table, column, privilege }: Grant) => `${table}.${column} ${privilege}`;

function wanted(): Grant[] {
  return Object.entries(workerGrants).flatMap(([table, text]) =>
    [...text.matchAll(/([A-Z]+)(?: \(([^)]+)\))?/g)].flatMap(([, privilege, columns = '']) =>
      columns.split(', ').map((column) => ({ table, column, privilege: privilege! })),
    ),
  );
}

/** Reads the privileges granted to a role directly on the tables of the schema. */
async function readGrants(sql: Pick<pg.ClientBase, 'query'>, role: string): Promise<Grant[]> {
  const { rows } = await sql.query<Grant>(
    `SELECT relname AS table, '' AS column, privilege_type AS privilege
     FROM pg_class, aclexplode(relacl)
     WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND grantee = to_regrole($1)
     UNION ALL
     SELECT relname, attname, privilege_type
     FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid, aclexplode(attacl)
     WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND grantee = to_regrole($1)`,
    [role],
  );
  return rows;
}

/** Returns whether the role exists, has exactly its privileges, and graft_system is a member of it. */
export async function hasWorkerAccess(sql: Pick<pg.ClientBase, 'query'>): Promise<boolean> {
  const { rows } = await sql.query<{ ready: boolean }>(
    `SELECT coalesce(pg_has_role('graft_system', to_regrole($1), 'MEMBER'), false) AND NOT EXISTS (
       SELECT 1 FROM unnest($2::text[]) AS name WHERE name <> '_prisma_migrations' AND NOT EXISTS (
         SELECT 1 FROM pg_policy WHERE polrelid = to_regclass(name) AND polname = 'worker_rows')) AS ready`,
    [workerRole, Object.keys(workerGrants)],
  );
  if (!rows[0]!.ready) return false;
  const actual = await readGrants(sql, workerRole);
  const expected = new Set(wanted().map(keyOf));
  return actual.length === expected.size && actual.every((grant) => expected.has(keyOf(grant)));
}

/**
 * Creates the role and grants it to graft_system, and so to the logins of earlier versions. Roles belong to the cluster, so the migration
 * of another database may do the same concurrently.
 */
export const makeWorkerRole = `DO $$ BEGIN
  IF to_regrole('${workerRole}') IS NULL THEN CREATE ROLE ${workerRole} NOLOGIN; END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$ BEGIN
  IF NOT pg_has_role('graft_system', '${workerRole}', 'MEMBER') THEN GRANT ${workerRole} TO graft_system; END IF;
EXCEPTION WHEN unique_violation OR internal_error THEN NULL;
END $$`;

/**
 * Grants exactly these privileges. Call in a transaction with the lock of `grantAccess`, as a login that owns the tables and can create
 * roles.
 */
export async function grantWorkerAccess(sql: Pick<pg.ClientBase, 'query'>): Promise<void> {
  await sql.query(makeWorkerRole);
  await sql.query(`REVOKE ALL ON ALL TABLES IN SCHEMA public FROM ${workerRole}`);
  await sql.query(`GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ${workerRole}`);
  for (const [table, privileges] of Object.entries(workerGrants)) {
    await sql.query(`GRANT ${privileges} ON ${table} TO ${workerRole}`);
    if (table === '_prisma_migrations') continue;
    const { rows } = await sql.query<{ column: string | null }>(
      `SELECT (SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attname = 'team_id') AS column`,
      [table],
    );
    for (const [command, rule] of Object.entries(rulesOf(table, rows[0]!.column))) {
      const name =
        command === 'ALL' || command === 'SELECT' ? 'worker_rows' : `worker_${command.toLowerCase()}`;
      await sql.query(`DROP POLICY IF EXISTS ${name} ON ${table}`);
      await sql.query(`CREATE POLICY ${name} ON ${table} FOR ${command} TO ${workerRole} ${rule}`);
    }
  }
}

/** Returns the text after `CREATE POLICY … TO graft_worker`, by command. */
function rulesOf(table: string, teamColumn: string | null): Record<string, string> {
  const rule = rules[table];
  if (typeof rule === 'object') return rule;
  const column = table === 'teams' ? 'id' : teamColumn;
  // For a job the worker sets the team and sees only its rows, as graft_team does: this guards against mistakes, not against the worker.
  const own = column && `(coalesce(current_setting('graft.team_id', true), '') IN ('', ${column}))`;
  const condition = rule ?? own ?? '(true)';
  return { ALL: `USING ${condition} WITH CHECK ${condition}` };
}

/** Returns whether the login can only do what workers do. Before the first migration no login qualifies. */
export async function isWorkerLogin({ sql }: { sql: pg.Pool }): Promise<boolean> {
  const { rows } = await sql.query<{ limited: boolean }>(
    `SELECT coalesce(pg_has_role(session_user, to_regrole($1), 'MEMBER'), false)
       AND NOT coalesce(pg_has_role(session_user, to_regrole('graft_system'), 'MEMBER'), false) AS limited`,
    [workerRole],
  );
  return rows[0]!.limited;
}

/** Warns about the setup of earlier versions, which still works: one powerful login for all, which a compromised worker exposes. */
export async function warnOfStrongLogin(sql: pg.Pool, role: 'api' | 'worker', log: Logger): Promise<void> {
  const page = 'docs/deployment.md, "Database logins", has the step that gives it its own';
  if (role === 'worker') {
    if (!(await isWorkerLogin({ sql })))
      log.warn(`this worker logs in to Postgres as one who may do more than workers need: ${page}`);
    return;
  }
  const { rows } = await sql.query('SELECT 1 FROM pg_roles WHERE rolname = session_user AND rolsuper');
  if (rows.length > 0) log.warn(`this process logs in to Postgres as a superuser: ${page}`);
}
