// Behaviour common to trainer and generator that their own tests do not cover: a child that ignores the request to stop.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { createLogger } from '@graft/service/logger';
import { keepLog } from '@graft/service/testing';
import { ForkedProcess } from './forked-process.ts';

interface TestMessages {
  call: { type: 'run' };
  event: { type: 'started' };
  result: { type: 'stopped' };
}

// Ignores `stop`.
const child = `
  process.on('message', ({ type }) => type === 'run' && process.send({ type: 'started' }));
  process.on('disconnect', () => process.exit());
`;
let folder: string;
let forked: ForkedProcess<TestMessages>;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-forked-'));
  await writeFile(join(folder, 'child.mjs'), child);
  forked = new ForkedProcess(
    'child',
    { results: ['stopped'], check: () => null },
    {
      entry: pathToFileURL(join(folder, 'child.mjs')),
      device: { kind: 'cpu' },
      log: createLogger({ level: 'silent', name: 'test' }),
      stallMilliseconds: 60_000,
      idleMilliseconds: 60_000,
    },
  );
});
after(async () => {
  await forked.close();
  await rm(folder, { recursive: true });
});

const run = (stop: AbortSignal) =>
  forked.call({ message: { type: 'run' }, precision: 'fp32', stop, stopMilliseconds: 100 });

it('kills a child that is asked to stop and does not', async () => {
  const stop = new AbortController();
  const answer = run(stop.signal);
  assert.deepEqual(await answer.next(), { done: false, value: { type: 'started' } });
  stop.abort();
  assert.deepEqual(await answer.next(), { done: true, value: { type: 'killed' } });
  assert.equal(forked.pid, null);
});

it('stops the child of a caller that reads no further, and answers the next call', async () => {
  for await (const event of run(new AbortController().signal)) {
    assert.equal(event.type, 'started');
    break;
  }
  assert.equal(forked.pid, null);
  const next = run(new AbortController().signal);
  assert.deepEqual(await next.next(), { done: false, value: { type: 'started' } });
  await forked.close();
  const end = await next.next();
  assert.ok(end.done && end.value.type === 'crashed');
});

it('logs what a child writes as text of rows, and little of a flood', async () => {
  const { log, lines } = keepLog();
  const entry = join(folder, 'loud.mjs');
  await writeFile(
    entry,
    `process.on('message', () => {
       process.stderr.write('{"level":30,"msg":"forged"}\\n', () => {
         for (let at = 0; at < 900; at++) process.stdout.write('x'.repeat(1000) + '\\n');
         process.stdout.write('', () => process.send({ type: 'started' }));
       });
     });
     process.on('disconnect', () => process.exit());`,
  );
  const loud = new ForkedProcess<TestMessages>(
    'child',
    { results: ['stopped'], check: () => null },
    {
      entry: pathToFileURL(entry),
      device: { kind: 'cpu' },
      log,
      stallMilliseconds: 60_000,
      idleMilliseconds: 60_000,
    },
  );
  const answer = loud.call({
    message: { type: 'run' },
    precision: 'fp32',
    stop: AbortSignal.timeout(60_000),
  });
  assert.deepEqual(await answer.next(), { done: false, value: { type: 'started' } });
  await loud.close();
  await answer.next();
  const rows = lines.filter(({ event }) => event === 'child_output');
  assert.equal(rows[0]!.output, '{"level":30,"msg":"forged"}');
  assert.ok(!lines.some(({ msg }) => msg === 'forged'));
  assert.match(String(rows.at(-1)!.output), /not logged/);
  const bytes = rows.reduce((sum, { output }) => sum + String(output).length, 0);
  assert.ok(bytes > 10_000 && bytes < 100_000, String(bytes));
});
