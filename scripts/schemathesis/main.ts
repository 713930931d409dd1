/**
 * `node --import tsx scripts/schemathesis/main.ts [--minutes N]`: starts Graft with two teams and a tiny model, installs
 * schemathesis into a folder of its own, and lets it try every route as both teams: all checks, stateful, for N minutes
 * (10). `decisions.toml` says what it is told to accept. Exit code 1 when it found anything else. Needs Python 3.10.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { writeTinyModel } from '@graft/peft-core/testing';

const version = '4.32.5';
const root = path.resolve(import.meta.dirname, '../..');
const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' } } });
const seconds = Math.round(60 * Number(values.minutes));
if (!(seconds >= 1)) throw new Error('--minutes must be a number above 0');

const folder = await mkdtemp(path.join(tmpdir(), 'graft-schemathesis-'));
let graft: ChildProcess | null = null;
try {
  const python =
    run('python3', ['-m', 'venv', path.join(folder, 'venv')]) && path.join(folder, 'venv', 'bin');
  run(path.join(python, 'pip'), ['install', '--quiet', `schemathesis==${version}`]);

  const env = await environment();
  const url = `http://127.0.0.1:${env.PORT}`;
  graft = spawn(process.execPath, ['--import', 'tsx', 'scripts/start/main.ts'], {
    cwd: root,
    env,
    stdio: 'inherit',
  });
  await ready(url);
  const second = await secondKey(env);
  const keys = { first: env.GRAFT_BOOTSTRAP_KEY!, second };
  for (const key of Object.values(keys)) await makeSomething(url, key);

  await writeConfig(keys);
  const options = ['--checks', 'all', '--max-time', String(seconds), '--request-timeout', '30'];
  const { status } = spawnSync(path.join(python, 'st'), ['run', `${url}/docs/json`, ...options], {
    cwd: folder,
    stdio: 'inherit',
  });
  process.exitCode = status === 0 ? 0 : 1;
} finally {
  graft?.kill('SIGTERM');
  if (graft && graft.exitCode === null) await new Promise((resolve) => graft!.once('exit', resolve));
  await rm(folder, { recursive: true, force: true });
}

function run(command: string, args: string[], env = process.env): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: root, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}${stderr}`);
  return stdout || 'done';
}

/** Of a Graft of its own; the database is DATABASE_URL's where that is given, which should be an empty one. */
async function environment(): Promise<NodeJS.ProcessEnv> {
  await writeTinyModel(path.join(folder, 'tiny'), { max_position_embeddings: 64 });
  const models = path.join(folder, 'base-models.json');
  await writeFile(models, JSON.stringify({ tiny: { folder: 'tiny' } }));
  return {
    ...process.env,
    GRAFT_ENV_FILE: '',
    LOG_LEVEL: 'error',
    PORT: String(await freePort()),
    GRAFT_DATA_DIR: path.join(folder, 'data'),
    GRAFT_BASE_MODELS: models,
    GRAFT_BOOTSTRAP_KEY: `graft_${randomBytes(6).toString('hex')}_${randomBytes(20).toString('hex')}`,
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function ready(url: string): Promise<void> {
  for (let i = 0; i < 600; i++) {
    const response = await fetch(`${url}/readyz`).catch(() => null);
    if (response?.ok) return;
    if (graft?.exitCode !== null) break;
    await sleep(200);
  }
  throw new Error('Graft did not start');
}

async function secondKey(env: NodeJS.ProcessEnv): Promise<string> {
  const admin = (...args: string[]) =>
    run(process.execPath, ['apps/cli/bin/graft.mjs', 'admin', ...args], env);
  admin('teams', 'create', 'second');
  const key = /graft_\w+_\w+/.exec(admin('keys', 'create', '--team', 'second', '--role', 'member'))?.[0];
  if (!key) throw new Error('graft admin printed no key');
  return key;
}

/** A file, a job and its adapter, so that ids of real things are in the lists. */
async function makeSomething(url: string, key: string): Promise<void> {
  const headers = { authorization: `Bearer ${key}` };
  const form = new FormData();
  form.set('purpose', 'fine-tune');
  form.set('file', new Blob(['{"text":"A line to learn."}\n'.repeat(20)]), 'lines.jsonl');
  const file = await fetch(`${url}/v1/files`, { method: 'POST', headers, body: form });
  const { id } = (await file.json()) as { id: string };
  const body = JSON.stringify({
    model: 'tiny',
    training_file: id,
    suffix: 'made',
    training: { max_steps: 4 },
  });
  const job = await fetch(`${url}/v1/fine_tuning/jobs`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body,
  });
  if (!job.ok) throw new Error(await job.text());
}

async function writeConfig(keys: Record<string, string>): Promise<void> {
  const auth = Object.entries(keys).map(([name, key]) => ({
    name,
    fixedHeaders: [{ name: 'Authorization', value: `Bearer ${key}` }],
  }));
  await writeFile(path.join(folder, 'auth.json'), JSON.stringify({ auth }));
  const decisions = await readFile(path.join(import.meta.dirname, 'decisions.toml'), 'utf8');
  const wfc = `\n[auth.wfc]\npath = "auth.json"\nuser = "first"\npeers = ["first", "second"]\n`;
  await writeFile(path.join(folder, 'schemathesis.toml'), decisions + wfc);
}
