import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { pino } from 'pino';
import { processIdentity } from '../process-identity.ts';
import { holdEmbeddedPostgres } from './acquire-postgres.ts';

const lines: string[] = [];
const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(line) });

async function ask<Row extends object>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  // The server may be stopped during the connection.
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('root, with data below a folder that Postgres cannot enter', {
  skip: process.getuid?.() !== 0 && 'only root has its cluster elsewhere',
}, () => {
  let home: string;
  let data: string;
  let cluster: string;
  const hold = () => holdEmbeddedPostgres(path.join(data, 'postgres'), log);
  before(() => {
    home = mkdtempSync(path.join(tmpdir(), 'graft-aside-')); // 0700
    data = path.join(home, 'data');
  });
  after(() => {
    rmSync(home, { recursive: true, force: true });
    if (cluster) rmSync(path.dirname(cluster), { recursive: true, force: true });
  });

  test('a deleted data folder starts empty; its database is set aside, and one line says where', async () => {
    const holder = fork(fileURLToPath(new URL('testing/holder.ts', import.meta.url)), [`${data}/postgres`]);
    const [first] = (await once(holder, 'message')) as [{ pid: number; url: string }];
    const [place] = await ask<{ data_directory: string }>(first.url, 'SHOW data_directory');
    cluster = place!.data_directory;
    assert.match(cluster, /^\/var\/lib\/graft\/[0-9a-f]{16}\/cluster$/);
    await ask(first.url, 'CREATE TABLE kept (n INT)');
    // Killing the holder leaves the server running.
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    rmSync(data, { recursive: true });

    const second = await hold();
    const tables = "SELECT 1 FROM pg_tables WHERE tablename = 'kept'";
    assert.deepEqual(await ask(second.url('graft'), tables), []);
    assert.equal(processIdentity(first.pid), null, 'the server of the old one does not run on');
    await second.release();
    const aside = readdirSync(path.dirname(cluster)).filter((name) => /^cluster\.\d{8}T\d{6}Z$/.test(name));
    assert.equal(aside.length, 1);
    assert.equal(lines.length, 1);
    assert.ok(lines[0]!.includes(`set aside in ${cluster.replace(/cluster$/, aside[0]!)}`), lines[0]);
  });

  test('beside files of a Graft the database is not replaced', async () => {
    rmSync(path.join(data, 'postgres'), { recursive: true });
    mkdirSync(path.join(data, 'secrets'));
    await assert.rejects(hold(), /holds a database, but .*server\.json.* is gone: put it back, or move/);
    rmSync(path.join(data, 'secrets'), { recursive: true });
    mkdirSync(path.join(data, 'postgres/other'));
    await assert.rejects(hold(), /holds a database/);
  });
});
