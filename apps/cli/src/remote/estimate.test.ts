import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { estimateView } from '../draw/estimate-view.ts';
import { plainPaint } from '../draw/paint.ts';
import { runGraft, temporaryFolder } from '../testing/run-graft.ts';
import { estimate } from '../testing/wire-estimates.ts';
import { wireServer } from '../testing/wire-server.ts';

test('estimate takes the options of jobs create and reports whether the job fits', async (t) => {
  const server = await wireServer(t);
  const more = [
    '--epochs',
    '2',
    '--peft',
    '{"peft_type":"LORA","r":4}',
    '--seed',
    '3',
    '--start-from',
    'ft:x',
  ];
  const args = ['estimate', '--model', 'base', '--data', 'file-7', '--validation', 'file-8', ...more];
  const ran = await runGraft(args, { env: server.env });
  assert.equal(ran.code, 0, ran.stderr);
  assert.deepEqual(JSON.parse(server.requests.at(-1)!.body), {
    model: 'base',
    training_file: 'file-7',
    validation_file: 'file-8',
    seed: 3,
    start_from: 'ft:x',
    hyperparameters: { n_epochs: 2 },
    peft: { peft_type: 'LORA', r: 4 },
  });
  assert.equal(
    ran.stdout,
    `parameters  2,442,240 trainable of 134,515,008 (1.8 %)
memory      9.3 GB
tokens      54,720
steps       90
time        unknown
on          cpu, fp32
fits        no: the largest worker has 4.0 GB
would fit   with batch_size 2, gradient_accumulation_steps 4: 3.1 GB
            with gradient_checkpointing true: 2.8 GB
`,
  );
});

test('a local file is there for the estimate alone', async (t) => {
  const server = await wireServer(t);
  const data = join(temporaryFolder(t), 'train.jsonl');
  await writeFile(data, '{"text":"one"}\n');
  const args = ['estimate', '--data', data, '--training', '{"batch_size":1}', '--json'];
  const ran = await runGraft([...args, '--model', 'base'], { env: server.env });
  assert.equal(ran.code, 0, ran.stderr);
  const { fits, seconds } = JSON.parse(ran.stdout) as { fits: boolean; seconds: number };
  assert.deepEqual([fits, seconds], [true, 754.2]);
  const refused = await runGraft([...args, '--model', 'base', '--sweep', '{"note":"refused-later"}'], {
    env: server.env,
  });
  assert.equal(refused.code, 1);
  const once = [
    'GET /fine_tuning/options?model=base',
    'GET /files?sha256',
    'POST /files',
    'POST /fine_tuning/estimates',
    'DELETE /files/file-1',
  ];
  assert.deepEqual(
    server.requests.map(({ method, path }) => `${method} ${path.replace(/sha256=.*/, 'sha256')}`),
    [...once, ...once],
  );
});

test('a job that fits, and its estimate beside the job', async (t) => {
  const server = await wireServer(t);
  const args = ['estimate', '--model', 'base', '--data', 'file-7', '--training', '{"batch_size":1}'];
  const ran = await runGraft(args, { env: server.env });
  assert.match(ran.stdout, /^time +about 12m 34s$/m);
  assert.match(ran.stdout, /^fits +yes: the largest worker has 4\.0 GB$/m);
  await runGraft(['jobs', 'get', 'ftjob-1'], { env: server.env });
  const job = await runGraft(['jobs', 'get', 'ftjob-1'], { env: server.env });
  assert.match(job.stdout, /^estimate +9\.3 GB of memory, 90 steps, 54,720 tokens$/m);
});

test('what an option that is left out costs stands under the estimate', () => {
  const message = 'peft.lora_alpha is left out: it is 8.';
  const warned = { ...estimate, warnings: [{ param: 'peft.lora_alpha', message }] };
  assert.match(estimateView(warned, plainPaint), /^warning +peft\.lora_alpha is left out: it is 8\.$/m);
  assert.doesNotMatch(estimateView(estimate, plainPaint), /warning/);
});
