/** Row-level security, the second safeguard: Postgres returns only the team's rows, whatever a statement selects. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type pg from 'pg';
import { getFile } from '../files/file-records.ts';
import { Prisma } from '../generated/client.ts';
import { putIntegration } from '../integrations/manage-integrations.ts';
import { leaseOf } from '../jobs/job.ts';
import { recordCheckpoint } from '../jobs/leases/record-checkpoint.ts';
import { getJob, listJobs } from '../jobs/records/read-jobs.ts';
import { keepValidationResult } from '../jobs/records/validation-results.ts';
import { cancelJob } from '../jobs/transitions/user-requests.ts';
import { verifyApiKey } from '../keys/verify-api-key.ts';
import type { Services } from '../services.ts';
import { createTestJob, createTestTeam, type TestTeam } from '../testing/job-fixtures.ts';
import { openFenced, openTestServices } from '../testing/open-test-services.ts';
import { type Database, statementWithin } from './database.ts';
import { withScope, withSystemScope, withTeamScope } from './database-scope.ts';
import { isDatabaseUnavailable } from './database-unavailable.ts';
import { inTransaction } from './in-transaction.ts';

/** Connected as the owner of the tables. */
let services: Services;
/** Connected as the API is. */
let fenced: Services;
let close: () => Promise<void>;
let ours: TestTeam;
let theirs: TestTeam;

before(async () => {
  services = await openTestServices();
  const pool = openFenced(services);
  close = pool.close;
  fenced = { ...services, ...pool.database };
  ours = await createTestTeam(services);
  theirs = await createTestTeam(services);
  for (const team of [ours, theirs]) {
    const by = { keyId: team.keyId, personId: null };
    await putIntegration(services, team.id, 'wandb', { secret: 'their key' }, by);
    await createTestJob(services, team, 'succeeded', {
      idempotencyKey: 'k',
      metadata: { owner: 'ada' },
      integrations: [{ type: 'wandb', wandb: { project: 'p' } }],
    });
    const running = await createTestJob(services, team, 'running');
    const series = { tokens: 1, metrics: { grad_norm: 1 } };
    await recordCheckpoint(services, leaseOf(running), {
      step: 1,
      path: `checkpoints/${running.id}/1/step-00000001`,
      bytes: 1,
      digest: 'a'.repeat(64),
      seconds: 1,
      metrics: {},
      series: [{ kind: 'train', step: 1, epoch: 1, loss: 1, ...series }],
    });
    await keepValidationResult(services, team.id, 'key', null);
  }
});
after(async () => {
  await close();
  await services.close();
});

/** Returns the tables that have a column of this name. */
async function tablesWith(column: string): Promise<string[]> {
  const { rows } = await services.sql.query<{ name: string }>(
    `SELECT relname::text AS name FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
     WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace AND attname = $1 AND NOT attisdropped
     ORDER BY 1`,
    [column],
  );
  return rows.map(({ name }) => name);
}

const own = "(team_id = current_setting('graft.team_id'::text, true))";

/** Returns the faults in the tables' row-level security. */
async function holesOf(): Promise<string[]> {
  const { rows } = await services.sql.query<{
    name: string;
    on: boolean;
    policies: Record<string, string>[];
  }>(
    `SELECT relname::text AS name, relrowsecurity AS on,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('roles', roles, 'cmd', cmd, 'permissive', permissive,
          'condition', coalesce(qual, with_check), 'same', qual IS NULL OR with_check IS NULL OR qual = with_check)), '[]')
        FROM pg_policies WHERE schemaname = current_schema() AND tablename = relname) AS policies
     FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace
       AND relname <> '_prisma_migrations' ORDER BY 1`,
  );
  const teamTables = await tablesWith('team_id');
  const asked = "COALESCE(current_setting('graft.team_id'::text, true), ''::text)";
  const workers = (id: string) => `((${asked} = ''::text) OR (${asked} = ${id}))`;
  return rows.flatMap(({ name, on, policies }) => {
    const isTeams = teamTables.includes(name);
    const hint = `${name}: its migration lacks SELECT graft_fence('${name}'${isTeams ? '' : ", 'system'"})`;
    const of = (role: string) => policies.filter(({ roles }) => String(roles) === role);
    // Tables that the system role may not update have several policies.
    if (!on || of('graft_system').length === 0) return [hint];
    const column = isTeams ? 'team_id' : name === 'teams' ? 'id' : null;
    const wrong =
      (!['audit_log', 'workers'].includes(name) &&
        of('graft_worker').some(({ condition }) => condition !== (column ? workers(column) : 'true'))) ||
      (isTeams && of('graft_team').length === 0) ||
      of('graft_team').some((policy) => {
        const expected = name === 'teams' ? own.replace('team_id =', 'id =') : own;
        return (
          !policy.same ||
          (policy.condition !== expected && (isTeams || name === 'teams' || policy.cmd !== 'SELECT'))
        );
      });
    const strangers =
      policies.length - of('graft_system').length - of('graft_team').length - of('graft_worker').length;
    return wrong || strangers > 0 ? [`${name}: a policy lets more through than a team's own rows`] : [];
  });
}

describe('every table', () => {
  test('is fenced', async () => {
    assert.deepEqual(await holesOf(), []);
  });

  test('and one that is not is named', async () => {
    await services.sql.query('CREATE TABLE forgotten (team_id TEXT); CREATE TABLE lax (team_id TEXT)');
    await services.sql.query(
      "SELECT graft_fence('lax'); CREATE POLICY all_rows ON lax TO graft_team USING (true)",
    );
    try {
      assert.deepEqual(await holesOf(), [
        "forgotten: its migration lacks SELECT graft_fence('forgotten')",
        "lax: a policy lets more through than a team's own rows",
      ]);
      await assert.rejects(
        withTeamScope(ours.id, () => fenced.sql.query('SELECT * FROM forgotten')),
        { code: '42501' },
      );
    } finally {
      await services.sql.query('DROP TABLE forgotten; DROP TABLE lax');
    }
  });

  test('nothing goes around the policies: no view of its owner or function that can be called, no privilege of the roles', async () => {
    const { rows: around } = await services.sql.query(
      `SELECT relname FROM pg_class WHERE relkind IN ('v', 'm') AND relnamespace = current_schema()::regnamespace
       UNION ALL SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = current_schema()::regnamespace
         AND prorettype <> 'trigger'::regtype`,
    );
    assert.deepEqual(around, []);
    const { rows: roles } = await services.sql.query(
      `SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolcanlogin AS may,
         EXISTS (SELECT 1 FROM pg_class WHERE relowner = pg_roles.oid) AS owns,
         ARRAY(SELECT roleid::regrole::text FROM pg_auth_members WHERE member = pg_roles.oid) AS is_member
       FROM pg_roles WHERE rolname IN ('graft_team', 'graft_system') ORDER BY 1`,
    );
    const none = { may: false, owns: false, is_member: [] as string[] };
    assert.deepEqual(roles, [
      { rolname: 'graft_system', ...none, is_member: ['graft_worker'] },
      { rolname: 'graft_team', ...none },
    ]);
    for (const statement of [
      'SET row_security = off; SELECT * FROM jobs',
      'ALTER TABLE jobs DISABLE ROW LEVEL SECURITY',
      'DROP POLICY team_own ON jobs',
      'CREATE TABLE mine (team_id TEXT)',
      'TRUNCATE jobs CASCADE',
      'SELECT * FROM loop_turns',
      'UPDATE workers SET draining = true',
    ]) {
      await assert.rejects(
        withTeamScope(ours.id, () => fenced.sql.query(statement)),
        { code: '42501' },
        statement,
      );
    }
  });
});

/** Ways of sending a statement to Postgres. */
const ways: Record<string, (text: string) => Promise<Record<string, unknown>[]>> = {
  'the pool': async (text) => (await fenced.sql.query(text)).rows,
  'a connection of the pool': async (text) => {
    const connection = await fenced.sql.connect();
    try {
      return (await connection.query(text)).rows;
    } finally {
      connection.release();
    }
  },
  Prisma: async (text) => await fenced.db.$queryRawUnsafe(text),
  'a transaction': async (text) =>
    await inTransaction(fenced, async (tx) => await tx.$queryRawUnsafe<Record<string, unknown>[]>(text)),
};

describe('a statement without its WHERE', () => {
  const teamsIn = async (way: keyof typeof ways, table: string, column = 'team_id') => {
    const rows = await ways[way]!(`SELECT DISTINCT ${column} AS team FROM ${table} ORDER BY 1`);
    return rows.map(({ team }) => team);
  };

  for (const way of Object.keys(ways)) {
    test(`by ${way} reads the team’s own rows, of every table that has some`, async () => {
      const both = [ours.id, theirs.id].sort();
      const filled: string[] = [];
      for (const table of await tablesWith('team_id')) {
        const { rowCount } = await services.sql.query(`SELECT DISTINCT team_id FROM ${table}`);
        if (rowCount !== 2) continue;
        filled.push(table);
        assert.deepEqual(await withTeamScope(ours.id, () => teamsIn(way, table)), [ours.id], table);
        assert.deepEqual(await withTeamScope(theirs.id, () => teamsIn(way, table)), [theirs.id], table);
        assert.deepEqual(await teamsIn(way, table), [], `${table}, and nothing said`);
        assert.deepEqual(await withSystemScope(() => teamsIn(way, table)), both, table);
      }
      assert.deepEqual(
        ['adapter_versions', 'adapters', 'api_keys', 'audit_log', 'checkpoints', 'files', 'idempotency_keys']
          .concat(
            'integrations',
            'job_attempts',
            'job_events',
            'job_integrations',
            'job_metadata',
            'job_metrics',
            'jobs',
          )
          .concat('outbox', 'validation_results')
          .filter((table) => !filled.includes(table)),
        [],
      );
      assert.deepEqual(await withTeamScope(ours.id, () => teamsIn(way, 'teams', 'id')), [ours.id]);
      assert.deepEqual(await teamsIn(way, 'teams', 'id'), []);
    });
  }

  /** Tables that a team can only append to, or that only the system changes. */
  const closed = [
    ...['audit_log', 'base_model_rules', 'budget_notices', 'job_metadata', 'team_budgets', 'team_quotas'],
    'usage_ledger',
  ];

  test('changes and deletes the team’s own rows', async () => {
    const count = async (table: string, team: TestTeam) =>
      (await services.sql.query(`SELECT 1 FROM ${table} WHERE team_id = $1`, [team.id])).rowCount;
    for (const table of await tablesWith('team_id')) {
      const rows = await count(table, ours);
      const work = withTeamScope(ours.id, () =>
        inTransaction(fenced, async (tx) => {
          const changed = await tx.$executeRawUnsafe(`UPDATE ${table} SET team_id = team_id`);
          const deleted = await tx.$executeRawUnsafe(`DELETE FROM ${table}`);
          assert.deepEqual([changed, deleted], [rows, rows], table);
          throw new Error('back');
        }),
      );
      const isClosed = closed.includes(table);
      await assert.rejects(work, isClosed ? new RegExp(`permission denied for table ${table}`) : /back/);
      if (isClosed) continue;
      const changeTheirs = `UPDATE ${table} SET team_id = team_id WHERE team_id = '${theirs.id}'`;
      assert.equal((await withTeamScope(ours.id, () => fenced.sql.query(changeTheirs))).rowCount, 0, table);
    }
    assert.equal(await count('jobs', theirs), 2);
  });

  test('gives no row away, and writes none for another team', async () => {
    const gift = `UPDATE validation_results SET team_id = '${theirs.id}', key = 'gift'`;
    const insert = `INSERT INTO validation_results (team_id, key) VALUES ('${theirs.id}', 'x')`;
    const audit = `INSERT INTO audit_log (team_id, action, target) VALUES ('${theirs.id}', 'x', 'x')`;
    const refused = { code: '42501', message: /violates row-level security policy/ };
    for (const statement of [gift, insert, audit]) {
      await assert.rejects(
        withTeamScope(ours.id, () => fenced.sql.query(statement)),
        refused,
        statement,
      );
      if (statement !== gift) await assert.rejects(fenced.sql.query(statement), refused, 'nothing said');
    }
    const create = () => fenced.db.validationResult.create({ data: { teamId: theirs.id, key: 'x' } });
    await assert.rejects(withTeamScope(ours.id, create), /row-level security/);
    await assert.rejects(withTeamScope('', create), /needs the id of a team/);
  });
});

test('code that has the wrong team in its WHERE finds nothing', async () => {
  const { data } = await listJobs(services, theirs.id, { limit: 10 });
  const id = data.find(({ state }) => state === 'running')!.id;
  assert.ok(await withTeamScope(theirs.id, () => getJob(fenced, theirs.id, id)));
  await withTeamScope(ours.id, async () => {
    assert.equal(await getJob(fenced, theirs.id, id), null);
    assert.equal(await getFile(fenced, theirs.id, theirs.fileId), null);
    assert.deepEqual((await listJobs(fenced, theirs.id, { limit: 10 })).data, []);
    assert.equal(await cancelJob(fenced, theirs.id, id, { keyId: 'key-test' }), null);
  });
  assert.equal((await getJob(services, theirs.id, id))!.state, 'running');
});

test('whose key it is, is found out before anybody is somebody', async () => {
  const caller = await verifyApiKey(fenced, `Bearer ${theirs.key}`);
  assert.equal(caller?.teamId, theirs.id);
  assert.equal(
    (await withTeamScope(ours.id, () => verifyApiKey(fenced, `Bearer ${theirs.key}`)))?.teamId,
    theirs.id,
  );
});

test('twenty at once on ten connections, by every way, each for its own team', async () => {
  const who = async (db: Pick<Database['db'], '$queryRawUnsafe'>) =>
    await db.$queryRawUnsafe<{ id: string }[]>('SELECT id FROM files');
  const asks: Record<string, () => Promise<{ id: string }[]>> = {
    pool: async () => (await fenced.sql.query<{ id: string }>('SELECT id FROM files')).rows,
    prisma: async () => await fenced.db.file.findMany({ select: { id: true } }),
    first: async () =>
      [await fenced.db.file.findFirst({ select: { id: true } })].filter((row) => row !== null),
    count: async () => Array.from({ length: await fenced.db.file.count() }, () => ({ id: '' })),
    transaction: async () => await inTransaction(fenced, who),
  };
  const one = async (i: number) => {
    const team = [ours, theirs, null][i % 3]!;
    const ask = Object.values(asks)[i % 5]!;
    const found = team ? await withTeamScope(team.id, ask) : await withScope('nobody', ask);
    assert.deepEqual(
      found.map(({ id }) => id || team?.fileId),
      team ? [team.fileId] : [],
    );
  };
  // Twenty concurrent requests.
  let next = 0;
  const lane = async () => {
    while (next < 300) await one(next++);
  };
  await Promise.all(Array.from({ length: 20 }, lane));
  assert.ok(fenced.sql.totalCount <= 10);
});

describe('a connection', () => {
  const backend = async () =>
    (await fenced.sql.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]!.pid;

  test('is switched when its user changes, and only then', async () => {
    const pool = openFenced(services);
    const { sql } = pool.database;
    const statements: string[] = [];
    sql.on('connect', (client: pg.PoolClient) => {
      const { query } = client;
      // biome-ignore lint/suspicious/noExplicitAny: pg's overloads
      client.query = ((...all: any[]) => {
        statements.push(String(all[0].text ?? all[0]).startsWith('SET ROLE') ? 'set' : 'own');
        return (query as (...all: unknown[]) => unknown).apply(client, all);
      }) as typeof client.query;
    });
    for (const team of [ours, ours, theirs, ours]) await withTeamScope(team.id, () => sql.query('SELECT 1'));
    assert.deepEqual(statements, ['set', 'own', 'own', 'set', 'own', 'set', 'own']);
    // Among several connections, the one with matching settings is used.
    const [a, b] = await Promise.all(
      [ours, theirs].map((team) => withTeamScope(team.id, async () => await sql.connect())),
    );
    a!.release();
    b!.release();
    statements.length = 0;
    for (const { id } of [ours, theirs, ours, theirs]) await withTeamScope(id, () => sql.query('SELECT 1'));
    assert.deepEqual(statements, ['own', 'own', 'own', 'own']);
    await pool.close();
  });

  test('is opened rather than switched again and again', async () => {
    const pool = openFenced(services);
    const { sql } = pool.database;
    for (let i = 0; i < 30; i++)
      for (const team of [ours, theirs]) await withTeamScope(team.id, () => sql.query('SELECT 1'));
    assert.equal(sql.totalCount, 2);
    await pool.close();
  });

  test('that was lost meanwhile is not switched; no id but a team’s is set', async () => {
    const pid = await backend();
    for (const id of ["a'b", 'a\0b', 'a b', ''])
      await assert.rejects(withTeamScope(id, backend), /needs the id of a team/);
    await services.sql.query('SELECT pg_terminate_backend($1)', [pid]);
    assert.deepEqual(await withTeamScope(ours.id, ways['the pool']!.bind(null, 'SELECT id FROM files')), [
      { id: ours.fileId },
    ]);
  });

  test('that is handed back within a transaction is closed, as is one whose server hangs', async () => {
    const connection = await withTeamScope(ours.id, async () => await fenced.sql.connect());
    await connection.query('BEGIN');
    const { rows } = await connection.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    connection.release();
    await assert.rejects(
      withTeamScope(theirs.id, () =>
        fenced.sql.query(statementWithin(200, Prisma.sql`SELECT pg_sleep(5), id FROM files`)),
      ),
      isDatabaseUnavailable,
    );
    for (let i = 0; i < 20; i++) assert.notEqual(await backend(), rows[0]!.pid);
  });

  test('is nobody’s before it is handed out', async () => {
    const pool = openFenced(services);
    const options = (pool.database.sql as unknown as { options: pg.PoolConfig }).options;
    assert.match(options.options!, / -c role=graft_team$/);
    await pool.close();
  });
});
