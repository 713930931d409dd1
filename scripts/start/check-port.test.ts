import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { checkPort } from './run-programs.ts';

let folder: string;
const children: ChildProcess[] = [];
before(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'graft-port-'));
});
after(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** A program of this name that listens on any free port: to the port, and the program's pid. */
async function listener(name: string, host = '127.0.0.1'): Promise<{ port: number; pid: number }> {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  const listens = `const server = require('node:net').createServer().listen(0, '${host}', () => console.log(server.address().port));`;
  writeFileSync(file, listens);
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const port = await new Promise<number>((resolve) =>
    child.stdout.once('data', (text) => resolve(Number(text))),
  );
  return { port, pid: child.pid! };
}

test('a free port, and any free port, is fine', async () => {
  const { port, pid } = await listener('short.cjs');
  process.kill(pid, 'SIGKILL');
  await new Promise((resolve) => children.at(-1)!.once('exit', resolve));
  await checkPort('127.0.0.1', port, 'PORT');
  await checkPort('127.0.0.1', 0, 'GRAFT_WORKER_PORT');
});

test('the program that has the port is named, with what to do, in one line', async () => {
  for (const host of ['127.0.0.1', '0.0.0.0', '::']) {
    const { port, pid } = await listener('other.cjs', host);
    await assert.rejects(checkPort('127.0.0.1', port, 'GRAFT_WORKER_PORT'), ({ message }: Error) => {
      assert.ok(!message.includes('\n'));
      assert.ok(message.startsWith(`Port ${port} of 127.0.0.1 is in use by process ${pid} (`), message);
      assert.match(message, /other\.cjs\): end it, or choose another port: GRAFT_WORKER_PORT=\d+ npm start$/);
      return true;
    });
  }
});

test('a Graft that runs already is stopped by the process that starts it again', async () => {
  const alone = await listener('apps/api/src/main.js');
  const inUseBy = (pid: number, kill: number) =>
    new RegExp(`a Graft that runs already \\(process ${pid}\\): stop it with \`kill ${kill}\``);
  await assert.rejects(checkPort('127.0.0.1', alone.port, 'PORT'), inUseBy(alone.pid, alone.pid));

  const supervisor = path.join(folder, 'scripts/start/main.cjs');
  mkdirSync(path.dirname(supervisor), { recursive: true });
  const api = path.join(folder, 'apps/api/src/main.js');
  writeFileSync(
    supervisor,
    `const api = require('node:child_process').spawn(process.execPath, [${JSON.stringify(api)}], { stdio: 'pipe' });
     api.stdout.on('data', (port) => console.log(api.pid, Number(port)));
     process.stdin.on('end', () => api.kill('SIGKILL')).resume();`,
  );
  const child = spawn(process.execPath, [supervisor], { stdio: ['pipe', 'pipe', 'inherit'] });
  const [pid, port] = await new Promise<number[]>((resolve) =>
    child.stdout.once('data', (text) => resolve(String(text).split(' ').map(Number))),
  );
  await assert.rejects(checkPort('127.0.0.1', port!, 'PORT'), inUseBy(pid!, child.pid!));
  child.stdin.end();
});

test('a host that is not of this machine is named', async () => {
  await assert.rejects(checkPort('192.0.2.1', 8000, 'PORT'), /HOST 192\.0\.2\.1 cannot be listened on/);
});
