import type pg from 'pg';
import type { Logger } from 'pino';

/** The role of workers: what runs in one, for a team or for all of them. */
export const workerRole = 'graft_worker';

/**
 * All that workers may do, as privileges of GRANT, by table; nothing of a table that is not here. None of it is a secret, and none of it
 * says who a person is. docs/security.md has the table that follows from this.
 */
const workerGrants: Readonly<Record<string, string>> = {
  _prisma_migrations: 'SELECT',
  installation: 'SELECT, UPDATE (data_folder)',
  // To lock a team's row takes the right to change some column of it.
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

/** Which rows, where it is not those of the team that the worker works for, or all: a condition, or one for each command. */
const rules: Readonly<Record<string, string | Record<string, string>>> = {
  // What it found damaged, in nobody's name.
  audit_log: "(system = 'graft' AND key_id IS NULL AND person_id IS NULL AND action LIKE '%.corrupt')",
  // All are read, for whose turn it is, and cleared away when they are dead; a row is changed by the process that wrote it.
  workers: {
    SELECT: 'USING (true)',
    INSERT: 'WITH CHECK (writer = graft_writer())',
    UPDATE: 'USING (writer = graft_writer()) WITH CHECK (writer = graft_writer())',
    DELETE: 'USING (true)',
  },
};

/** `column` empty: of the whole table. */
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

/** What a role was granted on the tables of the schema, directly. */
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

/** Whether the role is there, has its privileges and no others, and may be taken on by whoever may be graft_system. */
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
 * Makes the role, which graft_system may become: so may logins of earlier versions. Roles are the cluster's: whoever migrates another
 * database of it may be at the same.
 */
export const makeWorkerRole = `DO $$ BEGIN
  IF to_regrole('${workerRole}') IS NULL THEN CREATE ROLE ${workerRole} NOLOGIN; END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$ BEGIN
  IF NOT pg_has_role('graft_system', '${workerRole}', 'MEMBER') THEN GRANT ${workerRole} TO graft_system; END IF;
EXCEPTION WHEN unique_violation OR internal_error THEN NULL;
END $$`;

/** Makes it so. In a transaction, under the lock of `grantAccess`, by a login that owns the tables and may make roles. */
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

/** What follows `CREATE POLICY … TO graft_worker`, by command. */
function rulesOf(table: string, teamColumn: string | null): Record<string, string> {
  const rule = rules[table];
  if (typeof rule === 'object') return rule;
  const column = table === 'teams' ? 'id' : teamColumn;
  // In a job a worker names the team, and then sees its rows alone, as graft_team does: against mistakes, not against itself.
  const own = column && `(coalesce(current_setting('graft.team_id', true), '') IN ('', ${column}))`;
  const condition = rule ?? own ?? '(true)';
  return { ALL: `USING ${condition} WITH CHECK ${condition}` };
}

/** Whether the login can do what workers do and no more. Before the first migration no login is one. */
export async function isWorkerLogin({ sql }: { sql: pg.Pool }): Promise<boolean> {
  const { rows } = await sql.query<{ limited: boolean }>(
    `SELECT coalesce(pg_has_role(session_user, to_regrole($1), 'MEMBER'), false)
       AND NOT coalesce(pg_has_role(session_user, to_regrole('graft_system'), 'MEMBER'), false) AS limited`,
    [workerRole],
  );
  return rows[0]!.limited;
}

/** The set-up of earlier versions goes on working: one login for all, which whoever gets hold of a worker has. */
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
