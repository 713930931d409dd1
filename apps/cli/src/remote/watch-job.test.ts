import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runGraft } from '../testing/run-graft.ts';
import { wireServer } from '../testing/wire-server.ts';

const watch = ['jobs', 'watch', 'ftjob-1'];

test('in a log a watched job is plain lines, and ends with the model and the next commands', async (t) => {
  const { env } = await wireServer(t);
  const ran = await runGraft(watch, { env });
  assert.equal(ran.code, 0, ran.stderr);
  assert.equal((ran.stderr + ran.stdout).includes('\x1b'), false);
  assert.match(ran.stderr, /^queued, number 2$/m);
  assert.match(ran.stderr, /^\d\d:\d\d:\d\d {2}warn: Message 2$/m);
  assert.match(
    ran.stderr,
    /^step 4\/4 {2}loss 0\.7500 {2}validation 1\.1000 {2}token_accuracy 0\.5000 {2}perplexity 3\.0042 {2}1,532 tokens\/s {2}400 tokens$/m,
  );
  assert.match(ran.stdout, /Succeeded in 1m 05s: ft:base:team:demo:abc\nAdapter adpt_1, version 1\n/);
  assert.match(ran.stdout, /graft adapters download ft:base:team:demo:abc --output my-adapter/);
});

test('with --json every event, metric and change of the job is a separate line', async (t) => {
  const { env } = await wireServer(t);
  const ran = await runGraft([...watch, '--json'], { env });
  assert.equal(ran.code, 0, ran.stderr);
  const lines = ran.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const metrics = lines
    .filter((line) => line.type === 'metric')
    .map(({ metric }) => [metric.kind, metric.step]);
  // Each metric once, including the evaluation of the last step, which came after the loss of that step.
  assert.deepEqual(metrics, [
    ['train', 1],
    ['train', 2],
    ['train', 3],
    ['train', 4],
    ['evaluation', 4],
  ]);
  assert.deepEqual(
    lines.filter((line) => line.type === 'event').map(({ event }) => event.id),
    ['ftevent-1', 'ftevent-2'],
  );
  assert.equal(lines.filter((line) => line.type === 'job').at(-1).job.status, 'succeeded');
});

test('a job that fails is exit code 1, with the reason and whose it is', async (t) => {
  const server = await wireServer(t);
  server.outcome = 'failed';
  const ran = await runGraft(watch, { env: server.env });
  assert.equal(ran.code, 1);
  assert.equal(
    ran.stdout,
    'Failed: line 3 is too long (example_too_long)\nFix the data or the options, and create the job again.\n',
  );
});

test('Ctrl-C detaches: it says so, and cancels nothing', async (t) => {
  const server = await wireServer(t);
  server.outcome = null;
  let interrupted = false;
  const ran = await runGraft(watch, {
    env: server.env,
    onStderr: (text, child) => {
      if (interrupted || !text.includes('step')) return;
      interrupted = true;
      child.kill('SIGINT');
    },
  });
  assert.equal(ran.code, 130);
  assert.match(
    ran.stderr,
    /Detached; the job keeps running\.\nFollow it again with: graft jobs watch ftjob-1\n/,
  );
  assert.equal(
    server.requests.some((request) => request.method === 'POST'),
    false,
  );
});

test('an unknown job fails before anything is drawn', async (t) => {
  const { env } = await wireServer(t);
  const ran = await runGraft(['jobs', 'watch', 'ftjob-x'], { env });
  assert.equal(ran.code, 1);
  assert.match(ran.stderr, /^graft: No such fine-tuning job\./);
});

test('jobs create --watch follows the new job', async (t) => {
  const { env } = await wireServer(t);
  const ran = await runGraft(['jobs', 'create', '--model', 'base', '--data', 'file-1', '--watch'], { env });
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stderr, /^Created ftjob-1\.$/m);
  assert.match(ran.stdout, /Succeeded/);
});
