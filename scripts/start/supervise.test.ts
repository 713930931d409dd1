import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { createLogger } from '@graft/service/logger';
import { openStartLog } from './start-log.ts';
import { type Supervised, supervise } from './supervise.ts';

let folder: string;
before(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'graft-supervise-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Every program notes its starts and its end in a separate file. */
function run(
  name: string,
  body: string,
  options: { patience?: number; onGiveUp?: (reason: string) => void } = {},
) {
  const notes = path.join(folder, `${name}.notes`);
  writeFileSync(notes, '');
  const note = `import { appendFileSync, readFileSync } from 'node:fs'; const note = (text) => appendFileSync(${JSON.stringify(notes)}, text + '\\n');`;
  const program = path.join(folder, `${name}.mjs`);
  writeFileSync(program, `${note} note('start ' + process.pid); ${body}`);
  const shown: string[] = [];
  const startLog = openStartLog(folder, name, false, (line) => shown.push(line));
  const supervised = supervise({
    name,
    // Where tsx resolves from.
    root: path.resolve(import.meta.dirname, '../..'),
    entry: pathToFileURL(program),
    patience: options.patience ?? 20_000,
    log: createLogger({ level: 'info', name: 'test' }, startLog.destination),
    startLog,
    onGiveUp: options.onGiveUp ?? ((reason) => assert.fail(reason)),
    firstPause: 20,
  });
  return { supervised, shown, notes: () => readFileSync(notes, 'utf8').split('\n').filter(Boolean) };
}

const ready = "process.send({ type: 'ready', address: 'http://here' }); setInterval(() => {}, 1000);";
const polite = `${ready} process.on('SIGTERM', () => { note('stopped'); process.exit(0); });`;

async function until(condition: () => boolean): Promise<void> {
  for (const end = performance.now() + 60_000; !condition(); await sleep(20)) {
    assert.ok(performance.now() < end, 'in time');
  }
}

test('a program that dies after it was ready is started again; stopping it waits for its end', async () => {
  const { supervised, notes } = run('mortal', polite);
  assert.equal(await supervised.ready, 'http://here');
  process.kill(Number(notes()[0]!.split(' ')[1]), 'SIGKILL');
  await until(() => notes().length === 2);
  // Its handler for SIGTERM comes a moment after its first note.
  await sleep(500);
  await supervised.stop();
  assert.equal(notes().at(-1), 'stopped');
  await sleep(200);
  assert.equal(notes().length, 3, 'it stays stopped');
});

test('a program that ends before it was ever ready is not restarted, and the reason is reported', async () => {
  let supervised: Supervised | undefined;
  const reason = await new Promise<string>((resolve) => {
    ({ supervised } = run('broken', 'process.exit(3)', { onGiveUp: resolve }));
  });
  assert.equal(reason, 'The broken cannot start: it ended before it was ready (exit code 3)');
  await supervised!.stop();
});

test('the stack of one that breaks is shown, and that it is started again', async () => {
  const { supervised, shown, notes } = run(
    'breaking',
    `if (notesOf().length > 1) { ${polite} } else { process.send({ type: 'ready' }); setTimeout(() => { throw new Error('a broken wire') }, 50); }
     function notesOf() { return readFileSync(${JSON.stringify(path.join(folder, 'breaking.notes'))}, 'utf8').trim().split('\\n'); }`,
  );
  await until(() => notes().length === 2);
  await until(() => shown.length === 2);
  assert.match(shown[0]!, /Error: a broken wire\n +at .*breaking\.mjs/);
  assert.equal(shown[1], 'start: breaking: a process has died, starting it again');
  await sleep(500);
  await supervised.stop();
});

test('a program that reports why it cannot start is not restarted, and its message is shown', async () => {
  let supervised: Supervised | undefined;
  const reason = await new Promise<string>((resolve) => {
    const body =
      "process.send({ type: 'failed', message: 'the disk is full' }); setTimeout(() => process.exit(1), 50);";
    ({ supervised } = run('failing', body, { onGiveUp: resolve }));
  });
  assert.equal(reason, 'The failing cannot start: the disk is full');
  await supervised!.stop();
});

test('one that does not stop is killed when its patience is over', async () => {
  const { supervised, notes } = run('deaf', `process.on('SIGTERM', () => note('heard')); ${ready}`, {
    patience: 500,
  });
  await supervised.ready;
  await supervised.stop();
  assert.deepEqual(notes().slice(1), ['heard']);
});
