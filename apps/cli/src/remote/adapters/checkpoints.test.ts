import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { runGraft, temporaryFolder } from '../../testing/run-graft.ts';
import { wireServer } from '../../testing/wire-server.ts';

test('checkpoints are listed under both nouns, with those that can be called', async (t) => {
  const { env } = await wireServer(t);
  const [ofJob, list] = [
    await runGraft(['jobs', 'checkpoints', 'ftjob-1'], { env }),
    await runGraft(['checkpoints', 'list', 'ftjob-1'], { env }),
  ];
  assert.equal(ofJob.code, 0, ofJob.stderr);
  assert.equal(list.stdout, ofJob.stdout);
  assert.match(ofJob.stdout, /^4 +0\.2500 +0\.5000 .*\(not stored\)$/m);
  assert.match(ofJob.stdout, /^2 best +0\.5000 +1\.0000 .*ft:base:team:demo:abc:ckpt-step-2$/m);
});

test('checkpoints are downloaded as a folder, promoted and deleted, by step, as the newest kept, or as the best', async (t) => {
  const { env, requests } = await wireServer(t);
  const cwd = temporaryFolder(t);
  const newest = await runGraft(['checkpoints', 'download', 'ftjob-1', '--output', 'step'], { env, cwd });
  assert.equal(newest.code, 0, newest.stderr);
  assert.match(newest.stdout, /^Saved ft:base:team:demo:abc:ckpt-step-3\n/);
  assert.ok((await readdir(join(cwd, 'step'))).includes('adapter_config.json'));
  assert.deepEqual(await readdir(cwd), ['step']);

  const promote = ['checkpoints', 'promote', 'ftjob-1', '--best', '--note', 'n', '--json'];
  const best = await runGraft(promote, { env });
  assert.equal(JSON.parse(best.stdout).id, 'adptv_1', best.stderr);
  assert.deepEqual(JSON.parse(requests.at(-1)!.body), { note: 'n' });
  const deleted = await runGraft(['checkpoints', 'delete', 'ftjob-1', '--step', '3'], { env });
  assert.equal(deleted.stdout, 'Deleted the adapter of step 3.\n', deleted.stderr);

  const gone = await runGraft(['checkpoints', 'promote', 'ftjob-1', '--step', '4'], { env });
  assert.equal(gone.code, 1);
  assert.match(gone.stderr, /The adapter of step 4 is not stored/);
  const none = await runGraft(['checkpoints', 'promote', 'ftjob-1', '--step', '9'], { env });
  assert.match(none.stderr, /has no checkpoint of step 9/);
  const both = await runGraft(['checkpoints', 'promote', 'ftjob-1', '--step', '3', '--best'], { env });
  assert.equal(both.code, 2, both.stderr);
});
