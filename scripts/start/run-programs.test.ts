import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { loadServiceEnv } from '@graft/service/environment';
import { createLogger } from '@graft/service/logger';
import { type Program, runPrograms } from './run-programs.ts';
import { openStartLog } from './start-log.ts';

const root = path.resolve(import.meta.dirname, '../..');

test('a stop ends the API, then the worker, then Postgres, each when the one before is gone', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'graft-order-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  // So that Postgres' user can reach its place in it.
  chmodSync(folder, 0o755);
  const notes = path.join(folder, 'notes');
  const server = path.join(folder, 'data/postgres/server.json');

  /** Stands for API or worker: takes its time to stop, and notes whether Postgres is still there at its end. */
  const program = (name: Program['name']): Program => {
    const file = path.join(folder, `${name}.mjs`);
    writeFileSync(
      file,
      `import { appendFileSync, readFileSync } from 'node:fs';
       import { connect } from 'node:net';
       const note = (text) => appendFileSync(${JSON.stringify(notes)}, '${name} ' + text + '\\n');
       process.on('SIGTERM', () => {
         note('stops');
         setTimeout(() => {
           const { port } = JSON.parse(readFileSync(${JSON.stringify(server)}, 'utf8'));
           const end = (text) => { note(text); process.exit(0); };
           connect(port, '127.0.0.1').on('connect', () => end('ends, with Postgres')).on('error', () => end('ends, without Postgres'));
         }, 300);
       });
       process.send({ type: 'ready', address: null });
       setInterval(() => {}, 1000);`,
    );
    return { name, entry: pathToFileURL(file), patience: 20_000 };
  };

  let stop: (value: null) => void = () => {};
  const promise = new Promise<null>((resolve) => {
    stop = resolve;
  });
  let ready = false;
  const printed = t.mock.method(console, 'log', (text: string) => {
    ready ||= text.includes('Graft is running.');
  });
  const code = runPrograms({
    root,
    programs: [program('api'), program('worker')],
    env: loadServiceEnv({ GRAFT_DATA_DIR: path.join(folder, 'data') }),
    log: createLogger({ level: 'silent', name: 'test' }),
    startLog: openStartLog(path.join(folder, 'data'), 'graft', true),
    stopping: { promise, requested: false },
  });
  for (const end = performance.now() + 60_000; !ready; await sleep(20))
    assert.ok(performance.now() < end, 'in time');
  printed.mock.restore();
  stop(null);
  assert.equal(await code, 0);
  assert.deepEqual(readFileSync(notes, 'utf8').trim().split('\n'), [
    'api stops',
    'api ends, with Postgres',
    'worker stops',
    'worker ends, with Postgres',
  ]);
  const { port } = JSON.parse(readFileSync(server, 'utf8')) as { port: number };
  const answers = await new Promise<boolean>((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    t.after(() => socket.destroy());
  });
  assert.equal(answers, false, 'Postgres has stopped, last');
});
