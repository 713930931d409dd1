import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { withLock } from './lock.mjs';

let folder: string;
let path: string;
const children: ChildProcess[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'graft-lock-'));
  path = join(folder, 'locks/build.lock');
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

const module = new URL('./lock.mjs', import.meta.url).href;

/** A process that runs `body` under the lock, and prints `waiting PID` when it waits. */
function contender(body: string): { child: ChildProcess; line: (pattern: RegExp) => Promise<string> } {
  const script = `
    import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
    import { setTimeout as sleep } from 'node:timers/promises';
    import { shareLock, withLock } from '${module}';
    const onWait = (pid) => console.log('waiting ' + pid);
    await withLock({ onWait, path: ${JSON.stringify(path)}, pollMs: 5 }, async () => { ${body} });`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  let printed = '';
  const line = (pattern: RegExp) =>
    new Promise<string>((resolve, reject) => {
      const look = () => {
        const found = pattern.exec(printed);
        if (found) resolve(found[0]);
      };
      look();
      child.stdout!.on('data', (text) => {
        printed += text;
        look();
      });
      child.once('close', () => reject(new Error(`it ended without ${pattern}: ${printed}`)));
    });
  return { child, line };
}

const ended = (child: ChildProcess) => new Promise((resolve) => child.once('exit', resolve));

test('one process at a time, of many that begin at once beside the file of a dead one', async () => {
  mkdirSync(path, { recursive: true });
  const dead = execFileSync('/bin/sh', ['-c', 'echo $$'], { encoding: 'utf8' }).trim();
  writeFileSync(join(path, `${dead}-1-0123456789ab`), '');
  // The pid of a living process that started at another time.
  writeFileSync(join(path, `${process.pid}-1-0123456789ab`), '');
  const count = join(folder, 'count');
  writeFileSync(count, '0');
  // Loses a turn when two do it at once.
  const body = `const before = Number(readFileSync('${count}', 'utf8')); await sleep(3); writeFileSync('${count}', String(before + 1));`;
  const contenders = Array.from({ length: 6 }, () => contender(`for (let i = 0; i < 5; i++) { ${body} }`));
  const codes = await Promise.all(contenders.map(({ child }) => ended(child)));
  assert.deepEqual(codes, [0, 0, 0, 0, 0, 0]);
  assert.equal(readFileSync(count, 'utf8'), '30');
  assert.deepEqual(readdirSync(join(folder, 'locks')), [], 'nothing is left behind');
});

test('who waits reports for whom, and begins when that one is killed', async () => {
  const first = contender("console.log('holds'); await sleep(600_000);");
  await first.line(/holds/);
  const second = contender("console.log('begins');");
  assert.equal(await second.line(/waiting \d+/), `waiting ${first.child.pid}`);
  first.child.kill('SIGKILL');
  await second.line(/begins/);
});

test('a child that works on when its parent is killed keeps the lock until it ends', async () => {
  const first = contender(
    `const { spawn } = await import('node:child_process');
     const child = spawn('sleep', ['600']);
     shareLock(${JSON.stringify(path)}, child.pid);
     console.log('child ' + child.pid);
     await sleep(600_000);`,
  );
  const child = Number((await first.line(/child \d+/)).split(' ')[1]);
  first.child.kill('SIGKILL');
  await ended(first.child);
  const second = contender("console.log('begins');");
  assert.equal(await second.line(/waiting \d+/), `waiting ${child}`);
  process.kill(child, 'SIGKILL');
  await second.line(/begins/);
});

test('a fault leaves no lock, and its result is that of the body', async () => {
  const options = { onWait: () => assert.fail('nobody has it'), path };
  await assert.rejects(
    withLock(options, async () => {
      throw new Error('broken');
    }),
    /broken/,
  );
  assert.equal(await withLock(options, async () => 3), 3);
  assert.deepEqual(readdirSync(join(folder, 'locks')), []);
});

test('where the folder may not be written it runs at once', async () => {
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o555);
  chmodSync(folder, 0o755);
  const root = process.geteuid?.() === 0;
  if (root) process.seteuid?.(65_534);
  try {
    assert.equal(await withLock({ onWait: () => assert.fail('nobody has it'), path }, async () => 3), 3);
  } finally {
    if (root) process.seteuid?.(0);
    chmodSync(path, 0o755);
  }
});
