/**
 * The commands on the default installation, whose Postgres is embedded: they need no program of Postgres', and so do not care for the
 * machine's. What is restored is the same, row by row and rule by rule; what fails leaves nothing.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { loadServiceEnv } from '@graft/service/environment';
import { createLogger } from '@graft/service/logger';
import { acquirePostgres } from '@graft/service/postgres';
import { openServices, type Services } from '@graft/service/services';
import { ensureBootstrapKey } from '@graft/service/teams';
import { createTestDatabase } from '@graft/service/testing';
import pg from 'pg';
import { backUp } from './back-up.ts';
import { dumpDatabase } from './dump-database.ts';
import { restore } from './restore.ts';
import { start, verifyChains } from './testing/restored-database.ts';

const root = path.resolve(import.meta.dirname, '../..');
const log = createLogger({ level: 'silent', name: 'test' });
let folder: string;
let services: Services;
let ownerUrl: string;
const closers: (() => Promise<unknown>)[] = [];
const dataDir = () => path.join(folder, 'data');

before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'graft-backup-'));
  // So that Postgres' user can reach its place in it.
  chmodSync(folder, 0o755);
  // A Graft that runs: it holds its Postgres.
  const env = loadServiceEnv({ GRAFT_DATA_DIR: dataDir() });
  services = await openServices({ role: 'admin', env, log });
  closers.push(services.close);
  await ensureBootstrapKey(services);
  const postgres = await acquirePostgres(env, log);
  closers.push(postgres.release);
  ({ ownerUrl } = postgres);
  await fillTables(ownerUrl);
  writeFileSync(path.join(dataDir(), 'files/a-file'), 'bytes');
});
after(async () => {
  for (const close of closers.reverse()) await close();
  rmSync(folder, { recursive: true, force: true });
});

/** Rows with all that text may get wrong, rows that triggers refuse or add to, and rows whose keys name others. */
async function fillTables(url: string): Promise<void> {
  await withOwner(url, async (client) => {
    const { rows } = await client.query('SELECT id FROM teams');
    const team = rows[0].id;
    const nasty = ['tab\there', 'new\nline\r\n', 'back\\slash \\. \\N', 'quote "\' $1', '🦜 ünï\u2028', ''];
    for (const text of nasty)
      await client.query('INSERT INTO audit_log (team_id, action, target, detail) VALUES ($1, $2, $2, $3)', [
        team,
        text,
        JSON.stringify({ text, none: null, big: 1e300 }),
      ]);
    await client.query(
      `INSERT INTO files (id, team_id, filename, purpose, bytes, sha256, path, status)
       VALUES ('file-1', $1, 'a', 'fine-tune', 1, 'x', 'y', 'processed')`,
      [team],
    );
    await client.query(
      `INSERT INTO jobs (id, team_id, state, model, seed, training_file_id, hyperparameters, peft, training, finished_at)
       SELECT 'job-' || state, $1, state, 'tiny', 7, 'file-1', '{"a": [1, null, "\\u00e9"]}', '{"peft_type":"LORA"}', '{}', now()
       FROM unnest(ARRAY['succeeded', 'failed', 'cancelled']) AS state`,
      [team],
    );
    await client.query(
      `INSERT INTO job_metrics (team_id, job_id, kind, step, epoch, loss, tokens)
       SELECT $1, 'job-succeeded', 'train', i, i / 3.0::float8, CASE i WHEN 1 THEN 'NaN' WHEN 2 THEN '-Infinity' ELSE 1e-310 * i END, 2 ^ 60
       FROM generate_series(1, 5000) AS i`,
      [team],
    );
    await client.query('CREATE TABLE of_somebody_else (a int)');
  });
}

async function withOwner<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** All rows, and the rules that they keep, but of the table that is not Graft's. */
async function describe(url: string): Promise<unknown> {
  return await withOwner(url, async (client) => {
    const list = async (text: string) =>
      (await client.query({ text, rowMode: 'array' })).rows.map((row) => row.join(' | ')).sort();
    const own = "relnamespace = 'public'::regnamespace AND relname <> 'of_somebody_else'";
    const tables = await list(`SELECT relname FROM pg_class WHERE relkind = 'r' AND ${own}`);
    const rows: Record<string, string> = {};
    for (const table of tables) {
      const lines = await list(`SELECT t::text FROM public.${pg.escapeIdentifier(table)} t`);
      rows[table] = `${lines.length} rows, ${createHash('sha256').update(lines.join('\n')).digest('hex')}`;
    }
    const of = (catalog: string, relation: string, what: string) =>
      list(`SELECT relname, ${what} FROM ${catalog} c JOIN pg_class k ON k.oid = ${relation} WHERE ${own}`);
    return {
      rows,
      columns: await list(
        "SELECT table_name, column_name, data_type, column_default, is_nullable FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'of_somebody_else'",
      ),
      constraints: await of(
        'pg_constraint',
        'conrelid',
        'conname, convalidated, pg_get_constraintdef(c.oid)',
      ),
      triggers: await of('pg_trigger', 'tgrelid', 'tgenabled, pg_get_triggerdef(c.oid)').then((all) =>
        all.filter((line) => !line.includes('RI_ConstraintTrigger')),
      ),
      indexes: await list("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"),
      policies: await list('SELECT tablename, policyname, cmd, qual, with_check FROM pg_policies'),
      sequences: await list("SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'"),
    };
  });
}

/** As npm runs it. `bin`: a folder before or in place of the machine's PATH. */
function run(args: string[], bin: string, settings: Record<string, string>) {
  const env = { HOME: process.env.HOME, PATH: bin, GRAFT_ENV_FILE: '', INIT_CWD: folder, ...settings };
  return spawnSync(
    process.execPath,
    [path.join(root, 'scripts/compile/run.mjs'), 'scripts/backup/main.ts', ...args],
    { cwd: root, encoding: 'utf8', env },
  );
}

const machines = { older: '12.22', newer: '99.1', missing: null };
for (const [kind, version] of Object.entries(machines)) {
  test(`backup and restore where the machine's pg_dump is ${kind}`, async () => {
    const bin = path.join(folder, `bin-${kind}`);
    mkdirSync(bin);
    for (const name of version === null ? [] : ['pg_dump', 'pg_restore', 'psql']) {
      // Behaviour of a program of a version that does not fit.
      writeFileSync(
        path.join(bin, name),
        `#!/bin/sh\necho "${name}: error: server version mismatch (${version})" >&2\nexit 1\n`,
      );
      chmodSync(path.join(bin, name), 0o755);
    }
    const made = run(['backup', `backup-${kind}`], bin, { GRAFT_DATA_DIR: dataDir() });
    assert.equal(made.status, 0, made.stderr);
    assert.match(made.stdout, /^Backed up the database and \d+ files \(.* MB\) to .*backup-/);
    const target = path.join(folder, `restored-${kind}`);
    const restored = run(['restore', `backup-${kind}`], bin, { GRAFT_DATA_DIR: target });
    assert.equal(restored.status, 0, restored.stderr);
    assert.match(restored.stdout, /The table of_somebody_else, which is not Graft's, is left out/);
    assert.equal(readFileSync(path.join(target, 'files/a-file'), 'utf8'), 'bytes');
    const postgres = await acquirePostgres(loadServiceEnv({ GRAFT_DATA_DIR: target }), log);
    try {
      await start(postgres.ownerUrl);
      assert.deepEqual(await describe(postgres.ownerUrl), await describe(ownerUrl));
      const before = await verifyChains(postgres.ownerUrl);
      assert.ok(Math.max(...Object.values(before)) >= 6, JSON.stringify(before));
      // Its guards are in force, and hash chains continue where they were.
      await withOwner(postgres.ownerUrl, async (client) => {
        await assert.rejects(client.query("UPDATE audit_log SET target = 'x'"), { code: 'GA001' });
        await client.query("INSERT INTO audit_log (team_id, action, target) SELECT id, 'x', 'x' FROM teams");
      });
      const [team] = Object.keys(before).filter((chain) => chain !== '');
      assert.equal((await verifyChains(postgres.ownerUrl))[team!], before[team!]! + 1);
    } finally {
      await postgres.release();
    }
  });
}

test('nobody else reads a backup; its secrets are left out, or encrypted, and restored by the passphrase alone', async () => {
  const secrets = path.join(dataDir(), 'secrets');
  chmodSync(path.join(dataDir(), 'files/a-file'), 0o644);
  const whole = (place: string) =>
    readdirSync(place, { recursive: true, encoding: 'utf8' }).map((name) => path.join(place, name));
  const pepper = readFileSync(path.join(secrets, 'pepper'), 'utf8').trim();
  const passphraseFile = path.join(folder, 'passphrase');
  writeFileSync(passphraseFile, 'correct horse battery\n');
  const source = { databaseUrl: ownerUrl, dataDir: dataDir(), artifactsUrl: null };
  for (const passphrase of [null, 'correct horse battery']) {
    const place = path.join(folder, `secret-${passphrase === null ? 'less' : 'ful'}`);
    mkdirSync(place, { mode: 0o755 });
    await backUp({ ...source, passphrase }, place);
    for (const file of [place, ...whole(place)]) {
      const { mode } = statSync(file);
      assert.equal(mode & 0o777, statSync(file).isDirectory() ? 0o700 : 0o600, file);
    }
    for (const file of whole(place).filter((name) => statSync(name).isFile()))
      assert.ok(!readFileSync(file).includes(pepper) && !file.includes('data/secrets'), file);
    assert.equal(existsSync(path.join(place, 'secrets.enc')), passphrase !== null);
  }
  const restoreInto = (target: string, from: string, ...more: string[]) =>
    run(['restore', from, ...more], '', { GRAFT_DATA_DIR: path.join(folder, target) });
  const asked = restoreInto('asked', 'secret-ful');
  assert.equal(asked.status, 1);
  assert.match(
    asked.stderr,
    /secrets\.enc are encrypted: name the file with the passphrase by --passphrase-file/,
  );
  const target = { databaseUrl: ownerUrl, dataDir: path.join(folder, 'asked') };
  await assert.rejects(restore(path.join(folder, 'secret-ful'), { ...target, passphrase: 'another' }), {
    message: /does not open: the passphrase is another, or the file was changed/,
  });
  const opened = restoreInto('asked', 'secret-ful', '--passphrase-file', 'passphrase');
  assert.equal(opened.status, 0, opened.stderr);
  const file = path.join(folder, 'asked/secrets/pepper');
  assert.equal(readFileSync(file, 'utf8').trim(), pepper);
  assert.equal(statSync(file).mode & 0o777, 0o600);
});

test('--help and faulty arguments make no backup', () => {
  const settings = { GRAFT_DATA_DIR: path.join(folder, 'untouched') };
  const help = run(['backup', '--help'], '', settings);
  assert.equal(help.status, 0);
  assert.match(help.stdout, /^usage: npm run backup -- FOLDER/);
  for (const args of [
    ['backup'],
    ['backup', '--all'],
    ['backup', 'a', 'b'],
    ['restore', '--force', 'a'],
    ['other', 'a'],
  ]) {
    const ran = run(args, '', settings);
    assert.equal(ran.status, 2, args.join(' '));
    assert.match(ran.stderr, /usage: npm run backup/);
  }
  assert.ok(!existsSync(path.join(folder, '--help')) && !existsSync(path.join(folder, 'a')));
  const empty = run(['backup', 'of-nothing'], '', settings);
  assert.equal(empty.status, 1);
  assert.match(empty.stderr, /^There is no Graft in .*untouched: set GRAFT_DATA_DIR/);
  assert.ok(!existsSync(path.join(folder, 'of-nothing')) && !existsSync(settings.GRAFT_DATA_DIR));
});

test('a backup that fails or is ended leaves nothing', async () => {
  const database = await createTestDatabase();
  const output = path.join(folder, 'not/made');
  const source = { databaseUrl: ownerUrl, dataDir: dataDir(), artifactsUrl: null, passphrase: null };
  try {
    const gone = () => assert.ok(!existsSync(path.join(folder, 'not')));
    await assert.rejects(backUp(source, output, AbortSignal.abort(new Error('ended'))), /ended/);
    gone();
    await assert.rejects(backUp({ ...source, databaseUrl: `${ownerUrl}_missing` }, output), /does not exist/);
    gone();
    await assert.rejects(backUp(source, path.join(dataDir(), 'files/backup')), /is in the data folder/);
    await withOwner(database.url, (client) =>
      client.query('UPDATE installation SET data_folder = gen_random_uuid()'),
    );
    await assert.rejects(
      backUp({ ...source, databaseUrl: database.url }, output),
      /is not the data folder of this database/,
    );
    gone();
    await withOwner(database.url, (client) =>
      client.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public'),
    );
    await assert.rejects(
      backUp({ ...source, databaseUrl: database.url }, output),
      /The database holds no Graft/,
    );
    gone();
    const own = path.join(folder, 'own');
    mkdirSync(own);
    await assert.rejects(backUp(source, own, AbortSignal.abort(new Error('ended'))), /ended/);
    assert.deepEqual(readdirSync(own), []);
  } finally {
    await database.drop();
  }
});

test('a restore that fails or is ended leaves an empty database and no files, and can be started again', async () => {
  const backup = path.join(folder, 'whole');
  await backUp({ databaseUrl: ownerUrl, dataDir: dataDir(), artifactsUrl: null, passphrase: null }, backup);
  const database = await createTestDatabase();
  const target = { databaseUrl: database.url, dataDir: path.join(folder, 'target'), passphrase: null };
  try {
    await assert.rejects(restore(backup, target), /The database is not empty/);
    await withOwner(database.url, (client) =>
      client.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public'),
    );
    const untouched = async () => {
      const { rows } = await withOwner(database.url, (client) =>
        client.query("SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace"),
      );
      assert.equal(rows.length, 0);
      assert.deepEqual(existsSync(target.dataDir) ? readdirSync(target.dataDir) : [], []);
    };
    const table = path.join(backup, 'database/job_metrics.copy.gz');
    const bytes = readFileSync(table);
    for (const damaged of [bytes.subarray(0, bytes.length / 2), Buffer.from('no gzip'), Buffer.alloc(0)]) {
      writeFileSync(table, damaged);
      await assert.rejects(
        restore(backup, target),
        /job_metrics\.copy\.gz (cannot be restored|is not whole)/,
      );
      await untouched();
    }
    writeFileSync(table, bytes);
    await assert.rejects(restore(backup, target, AbortSignal.abort(new Error('ended'))), /ended/);
    await untouched();
    const manifestFile = path.join(backup, 'manifest.json');
    const manifest = JSON.parse(readFileSync(manifestFile, 'utf8'));
    manifest.database.migrations.push({ name: '29990101000000_later', checksum: 'x' });
    writeFileSync(manifestFile, JSON.stringify(manifest));
    await assert.rejects(restore(backup, target), /made by a newer Graft: .*29990101000000_later/);
    manifest.database.migrations.pop();
    writeFileSync(manifestFile, JSON.stringify(manifest));
    await restore(backup, target);
    await start(database.url);
    assert.deepEqual(await describe(database.url), await describe(ownerUrl));
    await assert.rejects(restore(backup, target), /is not empty/);
  } finally {
    await database.drop();
  }
});

test('what is written while the rows are copied is in none of them', async () => {
  const output = path.join(folder, 'moment');
  const before = await withOwner(ownerUrl, (client) =>
    client.query('SELECT count(*)::int AS n FROM audit_log'),
  );
  // It started before, and ends after.
  const writer = new pg.Client({ connectionString: ownerUrl });
  await writer.connect();
  try {
    await writer.query('BEGIN');
    await writer.query(
      "INSERT INTO audit_log (team_id, action, target) SELECT id, 'later', 'later' FROM teams",
    );
    const contents = await dumpDatabase(ownerUrl, output);
    await writer.query('COMMIT');
    assert.equal(contents.tables.find(({ name }) => name === 'audit_log')?.rows, before.rows[0].n);
  } finally {
    await writer.end();
  }
});
