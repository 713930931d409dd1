// Training on preferences: chosen completions win, and a stopped run continues exactly. Figures of TRL are in test/golden.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { type BaseModel, openBaseModel } from '../../../files.ts';
import { writeTinyModel } from '../../../testing/tiny-model.ts';
import { trainOptions, trainRecords } from '../../../testing/train-adapter.ts';
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
  ['dpo', {}, pairs],
  [
    'dpo',
    { preference: { loss_type: ['robust', 'sft'], loss_weights: [1, 0.2], label_smoothing: 0.1 } },
    pairs,
  ],
  ['dpo', { preference: { loss_type: 'ipo' } }, pairs],
  ['dpo', { preference: { loss_type: 'hinge' } }, pairs],
  ['dpo', { preference: { loss_type: 'sigmoid_norm', beta: 2 } }, pairs],
  ['dpo', { n_epochs: 8, preference: { reference_free: true } }, pairs],
  ['orpo', {}, pairs],
  ['simpo', {}, pairs],
  ['kto', {}, judged],
  ['kto', {}, pairs],
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
// The tiny model prefers none of these and knows no form; of a completion and a much longer one it prefers the first.
const known = pairs.map(({ prompt, chosen }) => ({ prompt, chosen, rejected: chosen.repeat(4) }));

async function decidable(lines: readonly object[], name: string) {
  const given = await options('dpo', { n_epochs: 2, lr_scheduler_type: 'constant' }, lines);
  const trainingFile = await file(`${name}.jsonl`, lines);
  return {
    ...given,
    trainingFile,
    validationFile: trainingFile,
    training: { ...given.training, ...rates },
    outputDir: path.join(folder, name),
  };
}

const decisionIn = (records: readonly TrainRecord[]) =>
  records.flatMap((record) => (record.type === 'reference' ? (record.decided ?? []) : []));

test('the reference pass decides the rate by how likely the chosen answers are, and decides alike after a crash', async () => {
  const given = await decidable(known, 'decided');
  const records = await trainRecords(given);
  const [decided] = decisionIn(records);
  assert.equal(decided!.preferred, 1);
  // A model with random weights gives each of its tokens about the same probability.
  const isKnown = decided!.logp > Math.log(0.01);
  assert.equal(decided!.isKnown, isKnown);
  assert.deepEqual(
    [...new Set(steps(records).map(({ learningRate }) => learningRate))],
    [isKnown ? rates.learning_rate_if_known : rates.learning_rate],
  );
  const bytes = await readFile(path.join(given.outputDir, 'adapter_model.safetensors'));
  const outputDir = path.join(folder, 'decided-resumed');
  const resumed = { ...given, outputDir, checkpointDir: path.join(folder, 'decided-checkpoints') };
  await trainRecords(resumed, (record) => record.type === 'step' && record.step === 7);
  // As the worker recorded it meanwhile.
  const learning_rate = steps(records)[0]!.learningRate;
  const training = { ...given.training, learning_rate };
  const rest = await trainRecords({ ...resumed, training, resume: true });
  assert.equal(steps(rest)[0]!.step, 6);
  assert.equal(steps(rest)[0]!.learningRate, learning_rate);
  assert.deepEqual(await readFile(path.join(outputDir, 'adapter_model.safetensors')), bytes);
});

test('pairs that the model does not prefer are trained at the rate of the job', async () => {
  const turned = known.map(({ chosen, rejected, prompt }) => ({
    prompt,
    chosen: rejected,
    rejected: chosen,
  }));
  const records = await trainRecords(await decidable(turned, 'undecided'));
  const [decided] = decisionIn(records);
  assert.deepEqual([decided!.preferred, decided!.isKnown], [0, false]);
  assert.equal(steps(records)[0]!.learningRate, rates.learning_rate);
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
