// Training on preferences: chosen completions win, and a stopped run continues exactly. Figures of TRL are in test/golden.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { type BaseModel, openBaseModel } from '../../../files.ts';
import { preferenceMethods } from '../../../lists.ts';
import { hashFile } from '../../../sha256.ts';
import { writeTinyModel } from '../../../testing/tiny-model.ts';
import { trainOptions, trainRecords } from '../../../testing/train-adapter.ts';
import { openLocalCheckpoints } from '../../checkpoints/index.ts';
import { MANIFEST_FILE, manifestText, STATE_FILE } from '../../checkpoints/manifest.ts';
import { REFERENCES } from '../../checkpoints/write-checkpoint.ts';
import type { RecordOf, TrainRecord } from '../../records.ts';
import { setUpTraining } from '../../setup.ts';

let folder: string;
let base: BaseModel;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'graft-preference-'));
  await writeTinyModel(path.join(folder, 'tiny'));
  base = await openBaseModel(path.join(folder, 'tiny'));
});
after(async () => {
  await base?.close();
  await rm(folder, { recursive: true });
});

const count = 24;
const pairs = Array.from({ length: count }, (_, i) => ({
  prompt: `Which of the two is number ${i % 7}? `,
  chosen: `the first one, ${i}`,
  rejected: i % 3 === 0 ? 'neither' : `the other, ${i * 7}`,
}));
const judged = pairs.flatMap(({ prompt, chosen, rejected }) => [
  { prompt, completion: chosen, label: true },
  { prompt, completion: rejected, label: false },
]);

async function file(name: string, lines: readonly object[]): Promise<string> {
  const to = path.join(folder, name);
  await writeFile(to, lines.map((line) => JSON.stringify(line)).join('\n'));
  return to;
}

async function options(method: string, training: object = {}, lines: readonly object[] = pairs) {
  const trainingFile = await file(`${method}.jsonl`, lines);
  return trainOptions({
    base,
    trainingFile,
    validationFile: trainingFile,
    exampleCount: lines.length,
    format: lines === judged ? 'unpaired_preference' : 'preference',
    method,
    peft: { peft_type: 'LORA', r: 4, target_modules: 'all-linear' },
    training: {
      learning_rate: 1e-2,
      n_epochs: 4,
      batch_size: 4,
      precision: 'fp32',
      seed: 3,
      eval_steps: 12,
      checkpoint_steps: 5,
      ...training,
    },
    outputDir: path.join(folder, `${method}-out`),
  });
}

const steps = (records: TrainRecord[]): RecordOf<'step'>[] =>
  records.filter((record) => record.type === 'step');

for (const [method, training, lines] of [
  ...preferenceMethods.map((method) => [method, {}, pairs] as const),
  [
    'dpo',
    { preference: { loss_type: ['robust', 'sft'], loss_weights: [1, 0.2], label_smoothing: 0.1 } },
    pairs,
  ],
  ['dpo', { preference: { loss_type: 'ipo' } }, pairs],
  ['dpo', { preference: { loss_type: 'hinge' } }, pairs],
  ['dpo', { preference: { loss_type: 'sigmoid_norm', beta: 2 } }, pairs],
  ['dpo', { n_epochs: 8, preference: { reference_free: true } }, pairs],
  ['kto', {}, judged],
] as const)
  test(`${method} ${JSON.stringify(training)} on ${lines === judged ? 'judged completions' : 'pairs'}: chosen completions are preferred`, async () => {
    const records = await trainRecords(await options(method, training, lines));
    const made = steps(records);
    const [first, last] = [made[0]!, made.at(-1)!];
    assert.ok(last.loss < first.loss, `${first.loss} → ${last.loss}`);
    const done = records.at(-1) as RecordOf<'done'>;
    assert.ok(done.metrics.rewards_margin! > 0, JSON.stringify(done.metrics));
    if (method !== 'kto') assert.ok(done.metrics.rewards_accuracy! > 0.9, JSON.stringify(done.metrics));
  });

test('before the first step policy and reference agree: the loss is log 2, rewards are 0', async () => {
  const [first] = steps(await trainRecords(await options('dpo', { max_steps: 1 })));
  assert.ok(Math.abs(first!.loss - Math.LN2) < 1e-5, `${first!.loss}`);
  assert.ok(Math.abs(first!.metrics!.rewards_margin!) < 1e-4);
});

for (const method of ['dpo', 'kto'])
  test(`${method}: a run that stops anywhere continues to the same bytes`, async () => {
    const lines = method === 'kto' ? judged : pairs;
    const given = await options(method, {}, lines);
    const whole = await trainRecords(given);
    const bytes = await readFile(path.join(given.outputDir, 'adapter_model.safetensors'));
    const checkpointDir = path.join(folder, `${method}-checkpoints`);
    const outputDir = path.join(folder, `${method}-resumed`);
    await trainRecords({ ...given, outputDir, checkpointDir }, (record) => record.type === 'reference');
    await trainRecords(
      { ...given, outputDir, checkpointDir, resume: true },
      (record) => record.type === 'step' && record.step === 13,
    );
    const rest = await trainRecords({ ...given, outputDir, checkpointDir, resume: true });
    assert.ok(!rest.some(({ type }) => type === 'reference'), 'the reference is read again');
    assert.deepEqual(
      steps(rest).map(({ loss }) => loss),
      steps(whole)
        .slice(10)
        .map(({ loss }) => loss),
    );
    assert.deepEqual(await readFile(path.join(outputDir, 'adapter_model.safetensors')), bytes);
  });

const rates = { learning_rate: 1e-3, learning_rate_if_known: 1e-5 };
/** A rate of the job, and the other one; the first pass of a run decides between them. */
async function decidable(name: string) {
  const given = await options('dpo', { n_epochs: 2, lr_scheduler_type: 'constant' });
  return { ...given, training: { ...given.training, ...rates }, outputDir: path.join(folder, name) };
}
const ratesOf = (records: TrainRecord[]) => new Set(steps(records).map(({ learningRate }) => learningRate));
const decisionsOf = (records: TrainRecord[]) =>
  records.flatMap((record) => (record.type === 'reference' ? (record.decided ?? []) : []));

/** Replaces the references of the newest checkpoint, and the digests that cover them. */
async function withReferences(checkpointDir: string, values: Float32Array): Promise<void> {
  const { candidates } = await openLocalCheckpoints(checkpointDir);
  const { dir } = candidates[0]!;
  const state = path.join(dir, STATE_FILE);
  const content = await readFile(state);
  const headerLength = Number(content.readBigUInt64LE());
  const header = JSON.parse(content.subarray(8, 8 + headerLength).toString());
  const [start, end] = header[REFERENCES].data_offsets as [number, number];
  assert.equal(end - start, values.byteLength);
  content.set(new Uint8Array(values.buffer), 8 + headerLength + start);
  await writeFile(state, content);
  const file = path.join(dir, MANIFEST_FILE);
  const { sha256: _, ...manifest } = JSON.parse(await readFile(file, 'utf8'));
  manifest.files[STATE_FILE].sha256 = await hashFile(state);
  await writeFile(file, manifestText(manifest));
}

test('a model that does not know the answers is trained at the rate of the job, and the pass reports why', async () => {
  const records = await trainRecords(await decidable('undecided'));
  const [decided, ...more] = decisionsOf(records);
  assert.deepEqual(more, []);
  assert.equal(decided!.isKnown, false);
  assert.ok(decided!.logp < Math.log(0.01), 'random weights');
  assert.deepEqual([...ratesOf(records)], [rates.learning_rate]);
});

test('the references of a checkpoint decide the rate again, whichever rate the job has recorded', async () => {
  const given = await decidable('decided');
  const { training } = given;
  const checkpointDir = path.join(folder, 'decided-checkpoints');
  await trainRecords({ ...given, checkpointDir }, (record) => record.type === 'step' && record.step === 7);
  // References of a model that knows the answers, in the newest checkpoint.
  const known = pairs.flatMap(() => [-1, -9]);
  await withReferences(checkpointDir, Float32Array.from([...known, ...known]));
  for (const learning_rate of Object.values(rates)) {
    const of = { ...given, training: { ...training, learning_rate }, checkpointDir, resume: true };
    const rest = await trainRecords(of, (record) => record.type === 'step' && record.step === 9);
    assert.equal(steps(rest)[0]!.step, 6, 'it is the same run');
    assert.deepEqual([...ratesOf(rest)], [rates.learning_rate_if_known]);
  }
});

test('pairs that kto judges keep to their validation file', async () => {
  const trainingFile = await file('kto-sets.jsonl', pairs);
  const [few, more] = [
    await file('few.jsonl', pairs.slice(0, 3)),
    await file('more.jsonl', pairs.slice(3, 10)),
  ];
  const { data } = await setUpTraining({
    ...(await options('kto')),
    trainingFile,
    validationFile: few,
    validationFiles: [
      { path: few, name: 'few', label: 'few' },
      { path: more, name: 'more', label: 'more' },
    ],
  });
  assert.deepEqual(
    data.validationSets?.map(({ name, examples }) => [name, examples]),
    [
      ['few', 6],
      ['more', 14],
    ],
  );
  assert.equal(data.validation.length, 20);
  // The lines of a file follow each other: chosen completions, then rejected ones.
  const lines = data.validation.map(({ line }) => line);
  assert.deepEqual(lines.slice(0, 6), [1, 2, 3, 1, 2, 3]);
});
