/** The audit log is append-only for every role, and its hash chain reveals changes by a role that may alter the tables. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { withSystemScope, withTeamScope } from '../database/database-scope.ts';
import { isDatabaseUnavailable, isRowLocked } from '../database/database-unavailable.ts';
import { inTransaction } from '../database/in-transaction.ts';
import { createInvitation } from '../people/invitations.ts';
import { createPerson, updatePerson } from '../people/person-records.ts';
import type { Services } from '../services.ts';
import { createTestTeam } from '../testing/job-fixtures.ts';
import { openFenced, openTestServices } from '../testing/open-test-services.ts';
import { insertAudit } from './insert-audit.ts';
import { exportAudit } from './read-audit.ts';
import { auditHash, listAuditHeads, verifyAudit } from './verify-audit.ts';

let services: Services;
let fenced: ReturnType<typeof openFenced>;
before(async () => {
  services = await openTestServices();
  fenced = openFenced(services);
});
after(async () => {
  await fenced?.close();
  await services?.close();
});

const by = { keyId: 'key-test' };
/** Number of entries that creating a team writes. */
const newTeamEntries = 3;

async function teamWith(entries: number): Promise<string> {
  const { id } = await createTestTeam(services);
  for (let n = 0; n < entries; n++) await add(id, `target-${n}`);
  return id;
}

async function add(teamId: string | null, target: string): Promise<void> {
  await inTransaction(services, async (tx) => {
    await insertAudit(tx, teamId, by, { action: 'thing.change', target, detail: { b: 1.5, a: ['ä', null] } });
  });
}

const lengthOf = async (chain: string) =>
  (await listAuditHeads(services, { limit: 1_000 })).data.find((head) => head.chain === chain)?.sequence ?? 0;

test('no role changes, deletes or truncates an entry or a chain', async () => {
  const team = await teamWith(3);
  const before = await services.sql.query('SELECT * FROM audit_log ORDER BY id');
  const statements = [
    "UPDATE audit_log SET target = 'another'",
    "UPDATE audit_log SET target = 'another' WHERE false",
    'UPDATE audit_log SET sequence = NULL, hash = NULL',
    'UPDATE audit_log SET sequence = sequence + 1000000',
    'DELETE FROM audit_log',
    'TRUNCATE audit_log',
    "UPDATE audit_chains SET hash = ''",
    'UPDATE audit_chains SET sequence = 0',
    'DELETE FROM audit_chains',
    'TRUNCATE audit_chains',
  ];
  for (const statement of statements) {
    await assert.rejects(services.sql.query(statement), { code: 'GA001' }, `owner: ${statement}`);
    const replicaStatement = `SET session_replication_role = replica; ${statement}`;
    await assert.rejects(services.sql.query(replicaStatement), { code: 'GA001' }, `a replica: ${statement}`);
    const refused = { code: '42501', message: /permission denied/ };
    const run = () => fenced.database.sql.query(statement);
    await assert.rejects(withSystemScope(run), refused, `system: ${statement}`);
    await assert.rejects(withTeamScope(team, run), refused, `team: ${statement}`);
  }
  const after = await services.sql.query('SELECT * FROM audit_log ORDER BY id');
  assert.deepEqual(after.rows, before.rows);
});

test('the writer of an entry does not choose its place or hash', async () => {
  const team = await teamWith(1);
  await withTeamScope(team, () =>
    fenced.database.sql.query(
      "INSERT INTO audit_log (team_id, action, target, sequence, hash) VALUES ($1, 'x', 'x', 900, '\\x00')",
      [team],
    ),
  );
  assert.equal(await lengthOf(team), newTeamEntries + 2);
  assert.deepEqual((await verifyAudit(services, team)).fault, null);
});

test('a team adds to no chain but its own', async () => {
  const [team, other] = [await teamWith(0), await teamWith(0)];
  for (const chain of [other, null]) {
    const insert = "INSERT INTO audit_log (team_id, action, target) VALUES ($1, 'x', 'x')";
    await assert.rejects(
      withTeamScope(team, () => fenced.database.sql.query(insert, [chain])),
      { code: '42501', message: /violates row-level security/ },
    );
  }
});

test('a chain whose lock is held for too long fails the deed whole, and says that it may be repeated', async () => {
  const team = await teamWith(0);
  const length = await lengthOf(team);
  const holder = new pg.Client({ connectionString: services.databaseUrl });
  await holder.connect();
  try {
    await holder.query('BEGIN');
    await holder.query('SELECT 1 FROM audit_chains WHERE chain = $1 FOR UPDATE', [team]);
    await assert.rejects(add(team, 'held'), (error) => isRowLocked(error) && isDatabaseUnavailable(error));
  } finally {
    await holder.end();
  }
  assert.equal(await lengthOf(team), length);
  await add(team, 'free');
  assert.equal(await lengthOf(team), length + 1);
});

test('a temporary table of the same name takes no entry’s seal', async () => {
  const team = await teamWith(1);
  await withTeamScope(team, async () => {
    const client = await fenced.database.sql.connect();
    try {
      await client.query('CREATE TEMP TABLE audit_chains (chain TEXT, sequence BIGINT, hash BYTEA)');
      await client.query("INSERT INTO public.audit_log (team_id, action, target) VALUES ($1, 'x', 'x')", [
        team,
      ]);
      await client.query('DROP TABLE pg_temp.audit_chains');
    } finally {
      client.release();
    }
  });
  assert.equal(await lengthOf(team), newTeamEntries + 2);
});

test('an entry is sealed with its transaction or not at all', async () => {
  const team = await teamWith(1);
  const length = await lengthOf(team);
  await assert.rejects(
    inTransaction(services, async (tx) => {
      await insertAudit(tx, team, by, { action: 'x', target: 'x' });
      throw new Error('back');
    }),
    /back/,
  );
  assert.equal(await lengthOf(team), length);
  assert.equal((await verifyAudit(services, team)).fault, null);
});

test('entries of one team and of several, at once and in any order of chains, wait for nobody’s deed', async () => {
  const [one, two] = [await teamWith(0), await teamWith(0)];
  const before = [await lengthOf(one), await lengthOf(two), await lengthOf('')] as const;
  // A transaction that has appended to all chains and stays open.
  const open = new pg.Client({ connectionString: services.databaseUrl });
  await open.connect();
  await open.query('BEGIN');
  for (const team of [one, two, null])
    await open.query("INSERT INTO audit_log (team_id, action, target) VALUES ($1, 'open', 'open')", [team]);
  const orders = [
    [one, two, null],
    [null, two, one],
    [two, null, one],
  ];
  // Six concurrent writers, fewer than the pool's connections, so none waits for a connection.
  const add = async (chains: readonly (string | null)[]) => {
    for (let n = 0; n < 12; n++)
      await inTransaction(services, async (tx) => {
        for (const chain of chains) await insertAudit(tx, chain, by, { action: 'many', target: String(n) });
      });
  };
  try {
    await Promise.all([...orders, ...orders].map(add));
    await open.query('COMMIT');
  } finally {
    await open.end();
  }
  for (const [n, chain] of [one, two, ''].entries()) {
    assert.equal(await lengthOf(chain), before[n]! + 73);
    assert.equal((await verifyAudit(services, chain)).fault, null);
  }
});

test('entries name people by their ids alone', async () => {
  const team = await teamWith(0);
  const person = await createPerson(services, {
    email: 'ada@people.example',
    name: 'Ada L',
    isOperator: false,
  });
  await updatePerson(services, person.id, { name: 'Ada King' });
  await createInvitation(services, team, { email: 'bob@people.example', role: 'member' }, null);
  const { rows } = await services.sql.query(
    "SELECT graft_audit_content(audit_log) AS text FROM audit_log WHERE graft_audit_content(audit_log) ~ 'Ada|people.example'",
  );
  assert.deepEqual(rows, []);
});

test('a chain is checked page by page, and by its entries’ content alone', async () => {
  const team = await teamWith(25);
  const length = await lengthOf(team);
  let after = 0;
  let pages = 0;
  for (let done = false; !done; pages++) {
    const check = await verifyAudit(services, team, { after, limit: 10 });
    assert.equal(check.fault, null);
    after = check.last.sequence;
    done = check.done;
  }
  assert.equal(after, length);
  assert.equal(pages, Math.floor(length / 10) + 1);

  const { rows } = await services.sql.query<{ content: string; hash: string }>(
    `SELECT graft_audit_content(audit_log) AS content, encode(hash, 'hex') AS hash FROM audit_log
     WHERE team_id = $1 ORDER BY id`,
    [team],
  );
  let hash = '';
  for (const row of rows) {
    hash = auditHash(hash, row.content);
    assert.equal(hash, row.hash);
  }
  const [records] = (await exportAudit(services, team, { limit: 1 }).next()).value!;
  const content = JSON.parse(rows[0]!.content);
  assert.deepEqual(
    [content.id, content.action, content.target, content.sequence],
    [records.id, records.action, records.target, records.sequence],
  );
});

describe('one who owns the tables and takes the guard away', () => {
  /** Changes the entries of a team despite the guard; returns what a check of the chain finds. */
  async function tamper(statement: string, length = 6): Promise<unknown> {
    const team = await teamWith(length - newTeamEntries);
    await change(statement, team);
    const { data } = await listAuditHeads(services, { limit: 1_000 });
    assert.ok(
      data.some(({ chain }) => chain === team),
      'a check of all chains has this one',
    );
    const { fault, done } = await verifyAudit(services, team);
    assert.ok(done);
    return fault && [fault.sequence, fault.reason];
  }

  async function change(statement: string, team: string): Promise<void> {
    await services.sql.query(
      `ALTER TABLE audit_log DISABLE TRIGGER USER; ALTER TABLE audit_chains DISABLE TRIGGER USER;
       ${statement.replaceAll('$1', pg.escapeLiteral(team))};
       ALTER TABLE audit_log ENABLE TRIGGER USER; ALTER TABLE audit_chains ENABLE TRIGGER USER;
       ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_kept, ENABLE ALWAYS TRIGGER audit_log_unchanged,
         ENABLE ALWAYS TRIGGER audit_log_guard;
       ALTER TABLE audit_chains ENABLE ALWAYS TRIGGER audit_chains_kept, ENABLE ALWAYS TRIGGER audit_chains_guard`,
    );
  }

  for (const column of ['key_id', 'person_id', 'system', 'action', 'target'])
    test(`is found by a changed ${column}`, async () => {
      const change = `UPDATE audit_log SET ${column} = 'forged' WHERE team_id = $1 AND sequence = 3`;
      assert.deepEqual(await tamper(change), [3, 'changed']);
    });
  test('is found by a changed detail, time, team, hash and order', async () => {
    const set = (what: string) => `UPDATE audit_log SET ${what} WHERE team_id = $1 AND sequence = 2`;
    assert.deepEqual(await tamper(set(`detail = '{"b": 1.6}'`)), [2, 'changed']);
    assert.deepEqual(await tamper(set("created_at = created_at - interval '1 second'")), [2, 'changed']);
    assert.deepEqual(await tamper(set("team_id = 'another'")), [2, 'missing']);
    assert.deepEqual(await tamper(set("hash = sha256('x')")), [2, 'changed']);
    assert.deepEqual(await tamper(set('sequence = 60')), [2, 'missing']);
  });
  test('is found by a deleted entry, first, middle and last, and by one that is added beside the chain', async () => {
    const remove = (which: number) => `DELETE FROM audit_log WHERE team_id = $1 AND sequence = ${which}`;
    assert.deepEqual(await tamper(remove(1)), [1, 'missing']);
    assert.deepEqual(await tamper(remove(4)), [4, 'missing']);
    assert.deepEqual(await tamper(remove(6)), [6, 'head']);
    assert.deepEqual(await tamper('DELETE FROM audit_log WHERE team_id = $1'), [1, 'head']);
    const insert = "INSERT INTO audit_log (team_id, action, target) VALUES ($1, 'forged', 'x')";
    assert.deepEqual(await tamper(insert), [7, 'unsealed']);
    assert.deepEqual(await tamper('DELETE FROM audit_chains WHERE chain = $1'), [7, 'head']);
    const cut = `${remove(6)}; UPDATE audit_chains SET sequence = 4 WHERE chain = $1`;
    assert.deepEqual(await tamper(cut), [6, 'head']);
  });
});
