/**
 * `npm start` as users run it, with its embedded Postgres: whatever ends npm ends every process that it started. A second start reports
 * in one line why it cannot start.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';
import { freePort, graftEnvironment, isAlive } from '../service/running-graft.ts';

const root = resolve(import.meta.dirname, '../..');
const folder = scratchFolder('stopping');
// The Postgres user must be able to enter the folder.
chmodSync(folder, 0o755);
const port = await freePort();
const env = graftEnvironment({
  PORT: String(port),
  GRAFT_DATA_DIR: join(folder, 'data'),
  GRAFT_SKIP_MODEL: '1',
  GRAFT_LOG: '',
  LOG_LEVEL: 'info',
});
const started = new Set<number>();
after(() => {
  for (const pid of started) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
});

interface Started {
  child: ChildProcess;
  /** npm and all its descendants, including Postgres. */
  pids: number[];
  printed(): string;
}

/** Starts a command; resolves when the API answers. */
async function start(command: string, args: string[]): Promise<Started> {
  const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
  started.add(child.pid!);
  let printed = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
  await until(async () => {
    assert.equal(child.exitCode, null, printed);
    return (await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null))?.ok ?? false;
  });
  await until(() => /^ {2}Pages [^\n]*\n(?: {2}Key [^\n]*\n)?\r?\n$/m.test(printed));
  const pids = [child.pid!, ...descendants(child.pid!)];
  for (const pid of pids) started.add(pid);
  const names = execFileSync('ps', ['-Ao', 'pid=,args=']).toString().split('\n');
  const running = names.filter((line) => pids.includes(Number.parseInt(line, 10))).join('\n');
  for (const part of ['apps/api/src/main', 'apps/worker/src/main', 'bin/postgres'])
    assert.ok(running.includes(part), `${part} is not among\n${running}`);
  return { child, pids, printed: () => printed };
}

function descendants(pid: number): number[] {
  const pairs = execFileSync('ps', ['-Ao', 'pid=,ppid='])
    .toString()
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number) as [number, number]);
  const below = (parent: number): number[] =>
    pairs.filter(([, its]) => its === parent).flatMap(([child]) => [child, ...below(child)]);
  return below(pid);
}

async function until(done: () => boolean | Promise<boolean>, what = () => 'in time'): Promise<void> {
  for (const end = performance.now() + 120_000; !(await done()); await sleep(100))
    assert.ok(performance.now() < end, what());
}

async function allEnd({ pids, printed }: Started): Promise<void> {
  const left = () => pids.filter(isAlive);
  await until(
    () => left().length === 0,
    () => `still running: ${left().join()}\n${printed()}`,
  );
}

test('SIGTERM of npm ends npm, API, worker and Postgres; until then a second start says what is in its way', async () => {
  const first = await start('npm', ['start']);
  const lines = first.printed().trimEnd().split('\n');
  assert.deepEqual(
    lines.slice(-4).map((line) => line.trim().split(' ')[0]),
    ['API', 'Docs', 'Pages', 'Key'],
  );
  assert.ok(!first.printed().includes('{"level"'), first.printed());
  const log = join(folder, 'data/logs/graft.log');
  assert.ok(lines.includes(`  Log in ${log}`));
  assert.match(readFileSync(log, 'utf8'), /^\{"level":30.*"name":"graft-api".*Server listening/m);
  const second = spawn('npm', ['start'], { cwd: root, env, stdio: ['ignore', 'ignore', 'pipe'] });
  let printed = '';
  second.stderr.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  const code = await new Promise((done) => second.once('close', done));
  assert.equal(code, 1);
  assert.match(
    printed.trim(),
    new RegExp(
      `^Graft cannot start\\. Port ${port} of 127\\.0\\.0\\.1 is in use by a Graft that runs already \\(process \\d+\\): stop it with \`kill (\\d+)\`, .*PORT=${port + 1}[^\\n]*$`,
    ),
  );
  assert.ok(first.pids.includes(Number(/`kill (\d+)`/.exec(printed)![1])));
  const ended = new Promise((done) => first.child.once('exit', done));
  first.child.kill('SIGTERM');
  assert.equal(await ended, 0, first.printed());
  await allEnd(first);
  const after = first.printed().trimEnd().split('\n').slice(lines.length).filter(Boolean);
  assert.deepEqual(after, ['Stopping: jobs that run write a checkpoint first.', 'Stopped.']);
});

test('so does SIGKILL of npm, which npm cannot forward', async () => {
  const running = await start('npm', ['start']);
  running.child.kill('SIGKILL');
  await allEnd(running);
});

/** Runs a command in a new terminal and passes its output on. Ending this program closes the terminal. */
const terminal = `
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
while True:
    sys.stdout.buffer.write(os.read(terminal, 4096))
    sys.stdout.flush()
`;

test('so does a terminal that is closed, into which nothing can be written any more', async () => {
  const running = await start('python3', ['-c', terminal, 'npm', 'start']);
  running.child.kill('SIGKILL');
  await allEnd(running);
});
