import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { createLogger } from '@graft/service/logger';
import { openStartLog } from './start-log.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'graft-log-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function open() {
  const shown: string[] = [];
  const log = openStartLog(path.join(folder, 'data'), 'graft', false, (line) => shown.push(line));
  assert.ok(log.file);
  const logger = createLogger({ level: 'info', name: 'graft-start' }, log.destination);
  return { log, shown, logger, read: () => readFileSync(log.file!, 'utf8') };
}

test('a child’s lines are kept whole, and only warnings and faults are shown', async () => {
  const { log, shown, read } = open();
  const lines = [
    '{"level":30,"msg":"calm"}',
    '{"level":40,"msg":"a disk is slow"}',
    '{"level":50,"component":"sweep","msg":"loop fails","err":{"message":"no route"}}',
    '{"level":50,"msg":"out of service","reason":"no space left"}',
    'plain text',
    '{"level":50, broken',
    'ünïcödé without an end',
  ];
  // In pieces that end in the middle of a line, and of a letter.
  const program = `
    const bytes = Buffer.from(${JSON.stringify(lines.join('\n'))});
    let at = 0;
    const next = () => { if (at < bytes.length) process.stdout.write(bytes.subarray(at, at += 7), () => setTimeout(next, 1)); else console.error('first\\nlast'); };
    next();`;
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'pipe'] });
  assert.equal(await log.take('worker', child), 'first\nlast');
  for (const line of lines) assert.ok(read().includes(`${line}\n`), line);
  assert.deepEqual(shown, [
    'worker: a disk is slow',
    'worker: sweep: loop fails: no route',
    'worker: out of service: no space left',
  ]);
});

test('the supervisor’s own log goes the same way; only its owner reads it', () => {
  const { log, shown, logger, read } = open();
  logger.info('calm');
  logger.error({ component: 'api' }, 'a process has died');
  assert.match(read(), /"msg":"calm".*\n.*"msg":"a process has died"/);
  assert.deepEqual(shown, ['start: api: a process has died']);
  assert.equal(statSync(log.file!).mode & 0o777, 0o600);
  assert.equal(statSync(path.dirname(log.file!)).mode & 0o777, 0o700);
});

test('the log is appended to, and a file that is too large is rotated', () => {
  const first = open();
  first.logger.info('one');
  const { logger, log, read } = open();
  logger.info('two');
  assert.match(read(), /one.*\n.*two/);
  truncateSync(log.file!, 50_000_000);
  const large = open();
  large.logger.info('three');
  assert.equal(large.read().match(/"msg"/g)?.length, 1);
  assert.equal(statSync(`${log.file}.1`).size, 50_000_000);
  // Again: the one before goes.
  writeFileSync(log.file!, '');
  truncateSync(log.file!, 50_000_001);
  open().logger.info('four');
  assert.equal(statSync(`${log.file}.1`).size, 50_000_001);
});

test('one that cannot be set aside is written on', () => {
  const { log } = open();
  truncateSync(log.file!, 50_000_000);
  mkdirSync(path.join(`${log.file}.1`, 'in the way'), { recursive: true });
  const large = open();
  for (const text of ['one', 'two']) large.logger.info(text);
  assert.equal(large.read().match(/"msg"/g)?.length, 2);
});

test('a log that is shown takes nothing', async () => {
  const log = openStartLog(path.join(folder, 'data'), 'graft', true);
  assert.deepEqual([log.file, log.destination], [null, undefined]);
});
