// A run that stops early stops at the same step with the same bits wherever it was interrupted, and publishes the best adapter.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { TrainingOptions } from '../config/index.ts';
import { type BaseModel, openBaseModel } from '../files.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { trainOptions, trainRecords } from '../testing/train-adapter.ts';
import type { CheckpointCandidate } from './checkpoints/manifest.ts';
import type { RecordOf, TrainOptions, TrainRecord } from './records.ts';

const at = tempFolder();
let base: BaseModel;
before(async () => {
  await writeTinyModel(at('model'), { num_hidden_layers: 1 });
  base = await openBaseModel(at('model'));
  const lines = (answer: (i: number) => number) =>
    Array.from({ length: 8 }, (_, i) => JSON.stringify({ prompt: `${i}:`, completion: ` ${answer(i)}` }));
  writeFileSync(at('train.jsonl'), lines((i) => i % 2).join('\n'));
  // After the first steps, training makes these ever less likely.
  writeFileSync(at('validation.jsonl'), lines((i) => 1 - (i % 2)).join('\n'));
});
after(() => base.close());

const common: TrainingOptions = {
  n_epochs: 20,
  max_steps: 40,
  learning_rate: 0.02,
  batch_size: 4,
  eval_steps: 2,
  checkpoint_steps: 3,
  early_stopping_patience: 3,
  load_best_model_at_end: true,
};

function options(part: string, training: TrainingOptions = common, validation = true): TrainOptions {
  return trainOptions({
    base,
    trainingFile: at('train.jsonl'),
    exampleCount: 8,
    training,
    ...(validation ? { validationFile: at('validation.jsonl') } : {}),
    peft: { peft_type: 'LORA', r: 4, target_modules: 'all-linear', lora_dropout: 0.1 },
    outputDir: at(`${part}/adapter`),
  });
}

async function run(part: string, candidates: CheckpointCandidate[], given = options(part)) {
  const checkpoints = { dir: at(`${part}/checkpoints`), candidates };
  return await trainRecords({ ...given, checkpoints, snapshotDir: at(`${part}/snapshots`), verify: true });
}

const of = <Type extends TrainRecord['type']>(records: TrainRecord[], type: Type) =>
  records.filter((record): record is RecordOf<Type> => record.type === type);
const doneOf = (records: TrainRecord[]) => records.at(-1) as RecordOf<'done'>;
const bytesOf = async (folder: string) =>
  Object.fromEntries(
    await Promise.all(
      (await readdir(folder))
        .sort()
        .map(async (name) => [name, (await readFile(path.join(folder, name))).toString('base64')] as const),
    ),
  );

test('stops when patience is lost, publishes the best, and does both the same wherever it was cut', async () => {
  const whole = await run('whole', []);
  const done = doneOf(whole);
  const evaluations = of(whole, 'evaluation');
  const least = evaluations.reduce((a, b) => (b.loss < a.loss ? b : a));
  assert.ok(done.steps < 40, `stopped at step ${done.steps}`);
  // The run ends three evaluations, of two steps each, after the best.
  assert.equal(done.steps, least.step + 6);
  assert.deepEqual(done.best, { step: least.step, metric: 'eval_loss', value: least.loss });
  assert.deepEqual(
    [done.publishedStep, done.totalSteps, done.evaluationsWithoutGain, done.validationLoss],
    [least.step, 40, 3, least.loss],
  );
  assert.equal(done.verification!.loss, least.loss, 'what is published is what is measured');

  const snapshots = of(whole, 'snapshot');
  assert.deepEqual(
    snapshots.map(({ step }) => step),
    evaluations.map(({ step }) => step),
    'the last one too, which is not the published one',
  );
  const best = snapshots.find(({ step }) => step === least.step)!;
  assert.deepEqual(await bytesOf(best.dir), await bytesOf(done.adapterDir));
  assert.notDeepEqual(await bytesOf(snapshots.at(-1)!.dir), await bytesOf(done.adapterDir));
  assert.deepEqual(best.best, done.best);

  const written = of(whole, 'checkpoint').map(({ dir, step, digest }) => ({ dir, step, digest }));
  assert.ok(written.length >= 2 && written.some(({ step }) => step < done.steps));
  for (const from of written) {
    const rest = await run(`from-${from.step}`, [from]);
    const again = doneOf(rest);
    assert.equal(of(rest, 'start')[0]!.resumedFrom, from.step);
    const strip = ({ adapterDir: _, peakMemoryBytes: __, ...same }: RecordOf<'done'>) => same;
    assert.deepEqual(strip(again), strip(done));
    assert.deepEqual(await bytesOf(again.adapterDir), await bytesOf(done.adapterDir));
    assert.deepEqual(
      of(rest, 'snapshot').map(({ step, files }) => ({ step, files })),
      snapshots.flatMap(({ step, files }) => (step > from.step ? [{ step, files }] : [])),
    );
  }
});

test('the last step is published where the best is refused, and then is no snapshot', async () => {
  const training = { ...common, load_best_model_at_end: false };
  const records = await run('last', [], options('last', training));
  const done = doneOf(records);
  assert.ok(done.steps < 40 && done.publishedStep === done.steps && done.best!.step < done.steps);
  assert.ok(of(records, 'snapshot').every(({ step }) => step < done.steps));
});

test('without validation data adapters are kept at the end of each training epoch, and no best is there to publish', async () => {
  const { early_stopping_patience: _, load_best_model_at_end: __, ...plain } = common;
  const records = await run('epochs', [], options('epochs', { ...plain, max_steps: 7 }, false));
  assert.deepEqual(
    of(records, 'snapshot').map(({ step, best, validationLoss }) => [step, best, validationLoss]),
    [2, 4, 6].map((step) => [step, null, null]),
  );
  for (const option of ['early_stopping_patience', 'load_best_model_at_end'] as const) {
    assert.throws(() => options('none', { ...plain, [option]: common[option] }, false), {
      code: 'invalid_training_option',
      param: `training.${option}`,
    });
    // A job of a file without validation examples.
    const training = { ...options('none', plain, false).training, [option]: common[option] };
    const never = trainRecords({ ...options('none', plain, false), training });
    await assert.rejects(never, { code: 'invalid_training_option', param: `training.${option}` });
  }
});

test('adapters that cannot be written cost themselves alone', async () => {
  await mkdir(at('full'), { recursive: true });
  await writeFile(at('full/snapshots'), 'no folder');
  const records = await run('full', [], options('full', { ...common, max_steps: 5 }));
  assert.deepEqual(
    of(records, 'snapshot_lost').map(({ step, reason }) => [step, reason]),
    [
      [2, 'ENOTDIR'],
      [4, 'ENOTDIR'],
    ],
  );
  assert.deepEqual([doneOf(records).steps, of(records, 'snapshot').length], [5, 0]);
});
