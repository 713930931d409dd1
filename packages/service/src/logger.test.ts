import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { GraftError } from '@graft/peft-core/config';
import { createLogger } from './logger.ts';

/** Returns the lines that `write` logs, as objects. */
function logged(write: (log: ReturnType<typeof createLogger>) => void): Record<string, unknown>[] {
  const lines: string[] = [];
  write(createLogger({ level: 'info', name: 'test' }, { write: (line) => lines.push(line) }));
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('fields that are not allowed are dropped, also from child loggers', () => {
  const [line] = logged((log) =>
    log
      .child({ jobId: 'ftjob-1', authorization: 'Bearer secret' })
      .info({ teamId: 'team-1', body: { prompt: 'secret' }, key: 'secret', messages: ['secret'] }, 'done'),
  );
  assert.ok(!JSON.stringify(line).includes('secret'));
  const { jobId, teamId, msg, name, level } = line!;
  assert.deepEqual(
    { jobId, teamId, msg, name, level },
    { jobId: 'ftjob-1', teamId: 'team-1', msg: 'done', name: 'test', level: 30 },
  );
});

test('who asked, and what API and worker speak where they differ, are kept', () => {
  const fields = { keyId: 'key-1', personId: 'person-1', workerId: 'w', workerProtocol: 2, apiProtocol: 1 };
  const [line] = logged((log) => log.error(fields, 'request'));
  const { keyId, personId, workerId, workerProtocol, apiProtocol } = line!;
  assert.deepEqual({ keyId, personId, workerId, workerProtocol, apiProtocol }, fields);
});

test('a request is logged by method and path only', () => {
  const req = {
    id: 'req-1',
    method: 'GET',
    url: '/v1/files?after=secret',
    headers: { authorization: 'secret' },
  };
  const [line] = logged((log) => log.info({ req, res: { statusCode: 200, body: 'secret' } }));
  assert.deepEqual(line!.req, { id: 'req-1', method: 'GET', url: '/v1/files' });
  assert.deepEqual(line!.res, { statusCode: 200 });
});

test('an error keeps name, code, message and cause, not its other fields', () => {
  const cause = new Error('disk full');
  const error = Object.assign(new GraftError('upload_failed', 'no luck', { cause }), {
    config: { password: 'secret' },
  });
  const [line] = logged((log) => log.error({ err: error }));
  const { type, code, message, stack, cause: logCause } = line!.err as Record<string, unknown>;
  assert.deepEqual([type, code, message], ['GraftError', 'upload_failed', 'no luck']);
  assert.match(String(stack), /logger\.test\.ts/);
  assert.equal((logCause as { message: string }).message, 'disk full');
  assert.ok(!JSON.stringify(line).includes('secret'));
});

test('a process whose standard output takes nothing runs on, and ends', {
  skip: !existsSync('/dev/full'),
}, () => {
  const module = new URL('./logger.ts', import.meta.url).href;
  const script = `
    const { createLogger } = await import(${JSON.stringify(module)});
    const log = createLogger({ level: 'info', name: 'test' });
    for (let i = 0; i < 3; i++) log.info('line');
    process.exitCode = 7;`;
  const command = 'exec "$0" --import tsx --input-type=module --eval "$1" > /dev/full';
  const ran = spawnSync('sh', ['-c', command, process.execPath, script], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.deepEqual([ran.status, ran.signal, ran.stderr], [7, null, '']);
});
