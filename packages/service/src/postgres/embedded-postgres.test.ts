import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { pino } from 'pino';
import { isRunning, processIdentity } from '../process-identity.ts';
import { type EmbeddedPostgres, holdEmbeddedPostgres } from './acquire-postgres.ts';
import { locatePostgresBinaries } from './postgres-binaries.ts';

const log = pino({ level: 'silent' });
const available = await locatePostgresBinaries().then(
  () => false,
  (error: Error) => error.message,
);

let folder: string;
const held: EmbeddedPostgres[] = [];
const children: ChildProcess[] = [];

async function hold(): Promise<EmbeddedPostgres> {
  const postgres = await holdEmbeddedPostgres(folder, log);
  held.push(postgres);
  return postgres;
}

interface HolderProcess {
  child: ChildProcess;
  pid: number;
  port: number;
  adopted: boolean;
  url: string;
}

/** Starts another process that holds it. */
async function holdElsewhere(): Promise<HolderProcess> {
  const child = fork(fileURLToPath(new URL('testing/holder.ts', import.meta.url)), [folder]);
  children.push(child);
  const [message] = (await once(child, 'message')) as [Omit<HolderProcess, 'child'>];
  return { child, ...message };
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

async function query<Row extends object>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

const runs = (pid: number) => processIdentity(pid) !== null;

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 60_000; !(await condition()); await sleep(50)) {
    assert.ok(performance.now() < end, 'in time');
  }
}

describe('embedded Postgres', { skip: available }, () => {
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'graft-embedded-'));
    // mkdtemp creates the folder with mode 0700, which the user of Postgres could not enter, so the cluster would be placed elsewhere.
    rmSync(folder, { recursive: true });
    mkdirSync(folder, { mode: 0o755 });
  });
  beforeEach(async () => {
    for (const postgres of held.splice(0)) await postgres.release();
    for (const child of children.splice(0)) await end(child, 'SIGTERM');
  });
  after(async () => {
    for (const postgres of held) await postgres.release();
    for (const child of children) await end(child, 'SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  });

  test('first start: a private database on loopback, behind a password that only its owner can read', async () => {
    const postgres = await hold();
    assert.equal(postgres.adopted, false);
    await query(postgres.url('graft'), 'CREATE TABLE kept (n INT); INSERT INTO kept VALUES (1)');
    const [settings] = await query<{ listen: string; sockets: string; encryption: string }>(
      postgres.url('graft'),
      "SELECT current_setting('listen_addresses') listen, current_setting('unix_socket_directories') sockets, (SELECT left(rolpassword, 13) FROM pg_authid WHERE rolname = 'graft') encryption",
    );
    assert.deepEqual(settings, { listen: '127.0.0.1', sockets: '', encryption: 'SCRAM-SHA-256' });
    const wrong = postgres.url('graft').replace(/:[0-9a-f]{48}@/, ':wrong@');
    await assert.rejects(query(wrong, 'SELECT 1'), { code: '28P01' });
    assert.equal(statSync(path.join(folder, 'server.json')).mode & 0o777, 0o600);
    await postgres.release();
    assert.ok(!runs(postgres.pid), 'the last one out stops it');
  });

  test('Graft itself logs in as one that owns nothing and is nobody until it becomes a role', async () => {
    const postgres = await hold();
    const url = postgres.appUrl('graft');
    const roles =
      'SELECT session_user::text AS login, rolsuper, rolinherit FROM pg_roles WHERE rolname = current_user';
    assert.deepEqual(await query(url, roles), [{ login: 'graft_app', rolsuper: false, rolinherit: false }]);
    await assert.rejects(query(url, 'SELECT n FROM kept'), { code: '42501' });
    await assert.rejects(query(url, 'CREATE TABLE mine (n INT)'), { code: '42501' });
    await assert.rejects(query(url, 'SET ROLE graft'), { code: '42501' });
    for (const role of ['graft_team', 'graft_system'])
      assert.deepEqual(await query(url, `SET ROLE ${role}`).then(() => 'may'), 'may');
    assert.notEqual(new URL(url).password, new URL(postgres.url('graft')).password);
  });

  test('second start: same data, same port, same password', async () => {
    const settings = readFileSync(path.join(folder, 'server.json'), 'utf8');
    const postgres = await hold();
    assert.deepEqual(await query(postgres.url('graft'), 'SELECT n FROM kept'), [{ n: 1 }]);
    assert.equal(readFileSync(path.join(folder, 'server.json'), 'utf8'), settings);
  });

  test('two processes share one server, and it runs until both have let go', async () => {
    const first = await holdElsewhere();
    const second = await holdElsewhere();
    assert.deepEqual([second.pid, second.port, second.adopted], [first.pid, first.port, true]);
    await end(first.child, 'SIGTERM');
    assert.deepEqual(await query(second.url, 'SELECT n FROM kept'), [{ n: 1 }]);
    await end(second.child, 'SIGTERM');
    assert.ok(!runs(first.pid));
    assert.deepEqual(readdirSync(path.join(folder, 'holders')), []);
  });

  test('processes that start at the same moment start one server', async () => {
    const all = await Promise.all([holdElsewhere(), holdElsewhere(), hold()]);
    assert.equal(new Set(all.map(({ pid }) => pid)).size, 1);
    assert.equal(all.filter(({ adopted }) => !adopted).length, 1);
  });

  test('a server left by a killed process is adopted, and its dead holder no longer counts', async () => {
    const killed = await holdElsewhere();
    await end(killed.child, 'SIGKILL');
    assert.ok(runs(killed.pid), 'it outlives its holder');
    const postgres = await hold();
    assert.deepEqual([postgres.pid, postgres.adopted], [killed.pid, true]);
    await postgres.release();
    assert.ok(!runs(killed.pid));
  });

  test('a killed server is started again for those who hold it, without loss', async () => {
    const postgres = await hold();
    await query(postgres.url('graft'), 'INSERT INTO kept VALUES (2)');
    process.kill(postgres.pid, 'SIGKILL');
    const rows = async () =>
      await query(postgres.url('graft'), 'SELECT n FROM kept ORDER BY n').catch(() => []);
    await until(async () => (await rows()).length === 2);
    await postgres.release();
    await assert.rejects(query(postgres.url('graft'), 'SELECT 1'), { code: 'ECONNREFUSED' });
  });

  test('a server killed with all its holders is recovered by the next', async () => {
    const killed = await holdElsewhere();
    await end(killed.child, 'SIGKILL');
    process.kill(killed.pid, 'SIGKILL');
    const postgres = await hold();
    assert.equal(postgres.adopted, false);
    assert.deepEqual(await query(postgres.url('graft'), 'SELECT count(*)::int AS rows FROM kept'), [
      { rows: 2 },
    ]);
  });

  test('a lock file that names another program is no server', async () => {
    const server = readdirSync(folder).includes('server') ? path.join(folder, 'server') : folder;
    writeFileSync(path.join(server, 'cluster/postmaster.pid'), `${process.pid}\n${server}/cluster\n0\n1\n`);
    const postgres = await hold();
    assert.equal(postgres.adopted, false);
  });

  test('a port taken meanwhile is exchanged for another', async () => {
    const { port } = JSON.parse(readFileSync(path.join(folder, 'server.json'), 'utf8')) as { port: number };
    const squatter = createServer().listen(port, '127.0.0.1');
    await once(squatter, 'listening');
    try {
      const postgres = await hold();
      assert.notEqual(postgres.port, port);
      assert.deepEqual(await query(postgres.url('graft'), 'SELECT count(*)::int AS rows FROM kept'), [
        { rows: 2 },
      ]);
    } finally {
      squatter.close();
    }
  });

  test('data without their password are not overwritten', async () => {
    const file = path.join(folder, 'server.json');
    const settings = readFileSync(file, 'utf8');
    rmSync(file);
    await assert.rejects(hold(), /holds a database, but .*server\.json, which holds its password, is gone/);
    writeFileSync(file, settings, { mode: 0o600 });
    await hold();
  });
});

test('a process is distinguished from another that gets its number, and from none', () => {
  const own = processIdentity(process.pid)!;
  assert.ok(isRunning(own));
  assert.ok(!isRunning(`${process.pid} 12345`));
  assert.equal(processIdentity(2 ** 30), null);
  assert.equal(processIdentity(Number.NaN), null);
});
