import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';

const script = path.resolve(import.meta.dirname, '../../.ci/run');
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'graft-ci-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs .ci/run with an `npm` that only records its calls; `fail` is the part that fails. */
function ciRun(env: NodeJS.ProcessEnv, fail = 'none') {
  const calls = path.join(folder, 'calls');
  const npm = path.join(folder, 'npm');
  writeFileSync(
    npm,
    `#!/bin/sh
echo "$* | \${DATABASE_URL-unset} | \${REDIS_URL-unset}" >> ${calls}
case "$*" in *"${fail}"*) code=1;; *) code=0;; esac
[ $code = 0 ] || printf "✖ $1 $2: a test\\nError: its reason\\n\\nlater lines\\n"
case "$*" in
  *--part*|*--half*) echo "covered: part of $1 $2";;
esac
case "$*" in
  test*) echo "3 passed, $code failed, 2 skipped";;
  *smoke) echo "6 passed, $code failed";;
  'run chaos'*) echo "4 passed, $code failed";;
esac
exit $code
`,
  );
  chmodSync(npm, 0o755);
  const { PATH, HOME, TMPDIR = tmpdir() } = process.env;
  const ran = spawnSync('bash', [script], {
    encoding: 'utf8',
    env: { HOME, TMPDIR, PATH: `${folder}${path.delimiter}${PATH}`, ...env },
  });
  const lines = readFileSync(calls, 'utf8').trim().split('\n');
  return { code: ran.status, last: ran.stdout.trim().split('\n').at(-1), calls: lines, output: ran.stdout };
}

const services =
  'test -- --services --next-part packages/service apps/api/src/plugins apps/worker/src/health apps/worker/src/worker.test test/service';

test('one of Postgres and Redis is enough for the run on given services', () => {
  const onlyPostgres = ciRun({ DATABASE_URL: 'postgresql://one', REDIS_URL: '' });
  assert.deepEqual(onlyPostgres.calls.slice(0, 2), [
    'test -- --part | unset | unset',
    `${services} | postgresql://one | unset`,
  ]);
  assert.match(onlyPostgres.output, /^== tests of the services, given Postgres$/m);
  rmSync(path.join(folder, 'calls'));
  const onlyRedis = ciRun({ DATABASE_URL: '', REDIS_URL: 'redis://two' });
  assert.equal(onlyRedis.calls[1], `${services} | unset | redis://two`);
  rmSync(path.join(folder, 'calls'));
  const none = ciRun({ DATABASE_URL: '', REDIS_URL: '' });
  assert.deepEqual(
    none.calls.map((call) => call.split(' ')[0]),
    ['test', 'run', 'run', 'run', 'run'],
  );
});

test('faults and demo come last, on their own services; the demo is one test in the sum', () => {
  const given = { DATABASE_URL: 'postgresql://one', REDIS_URL: 'redis://two' };
  const passed = ciRun(given);
  assert.equal(passed.calls[2], 'run --silent smoke | postgresql://one | unset');
  assert.equal(passed.calls[3], 'run chaos -- --profile short --half | unset | unset');
  assert.match(passed.calls[4]!, /^run --silent check:vulnerabilities /);
  assert.match(passed.calls[5]!, /^run demo -- --output \S+ \| unset \| unset$/);
  assert.deepEqual([passed.code, passed.last], [0, '17 passed, 0 failed']);
  const failed = ciRun(given, 'run demo');
  assert.deepEqual([failed.code, failed.last], [1, '16 passed, 1 failed']);
  const lost = ciRun(given, 'run chaos');
  assert.deepEqual([lost.code, lost.last], [1, '17 passed, 1 failed']);
});

test('the end lists failures, the minutes of each part and what the run covered', () => {
  const given = { DATABASE_URL: 'postgresql://one', REDIS_URL: '' };
  const { output } = ciRun(given, services);
  const end =
    '\nin N minutes: tests N, given N, smoke N, faults N, vulnerabilities N, demo N\n' +
    'covered: part of test --; part of run chaos\n17 passed, N failed\n';
  const withoutNumbers = (text: string) => text.replaceAll(/\d+\.\d|\d(?= failed)/g, 'N');
  assert.ok(
    withoutNumbers(output).endsWith(`\n== failures\n✖ test --: a test\nError: its reason${end}`),
    output,
  );
  const passed = ciRun(given).output;
  assert.ok(withoutNumbers(passed).endsWith(end), passed);
  assert.doesNotMatch(passed, /failures/);
});

test('the other parts run after one has failed', () => {
  const ran = ciRun({ DATABASE_URL: 'postgresql://one', REDIS_URL: '' }, services);
  assert.equal(ran.calls.length, 6);
  assert.deepEqual([ran.code, ran.last], [1, '17 passed, 1 failed']);
});
