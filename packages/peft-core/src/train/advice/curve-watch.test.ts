/** Runs of a tiny model with unsuitable options and the findings from their curves; then curves of pure noise. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { TrainingOptions } from '../../config/index.ts';
import { type BaseModel, openBaseModel } from '../../files.ts';
import { Random } from '../../random.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { type TestTrainOptions, trainOptions, trainRecords } from '../../testing/train-adapter.ts';
import type { TrainRecord } from '../records.ts';
import { CurveWatch, type Finding } from './curve-watch.ts';

const at = tempFolder();
let base: BaseModel;

before(async () => {
  await writeTinyModel(at('model'), { num_hidden_layers: 1 });
  base = await openBaseModel(at('model'));
  const line = (i: number, completion: number) =>
    JSON.stringify({ prompt: `${'x'.repeat(i % 5)}${i}:`, completion: ` ${completion % 3}` });
  const lines = Array.from({ length: 18 }, (_, i) => line(i, i));
  writeFileSync(at('train.jsonl'), lines.join('\n'));
  writeFileSync(at('few.jsonl'), lines.slice(0, 6).join('\n'));
  // The six examples of few.jsonl do not help to predict these.
  writeFileSync(
    at('others.jsonl'),
    lines
      .slice(0, 6)
      .map((_, i) => line(i + 6, i + 2))
      .join('\n'),
  );
});
after(() => base.close());

interface Given {
  training: TrainingOptions;
  peft?: Record<string, unknown>;
  lines?: { file: string; count: number; validationFile: string };
  more?: Partial<TestTrainOptions>;
}

function options(name: string, { training, peft, lines, more }: Given): TestTrainOptions {
  const { file = 'train.jsonl', count = 18, validationFile } = lines ?? {};
  return {
    ...trainOptions({
      base,
      trainingFile: at(file),
      exampleCount: count,
      ...(validationFile ? { validationFile: at(validationFile) } : {}),
      peft: { peft_type: 'LORA', r: 8, lora_alpha: 16, target_modules: 'all-linear', ...peft },
      training: { n_epochs: 8, batch_size: 4, ...training },
      outputDir: at(name),
    }),
    checkpointDir: at(`${name}.checkpoints`),
    ...more,
  };
}

const adviceIn = (records: TrainRecord[]) => records.filter((record) => record.type === 'advice');

test('a learning rate that fits is let alone, and one that is far too large is not', async () => {
  const fits = await trainRecords(options('fits', { training: { learning_rate: 0.01 } }));
  assert.deepEqual(adviceIn(fits), []);
  const initialAdapter = at('fits');
  const [advice, ...others] = adviceIn(
    await trainRecords(options('too-large', { training: { learning_rate: 1 }, more: { initialAdapter } })),
  );
  assert.equal(others.length, 0);
  assert.equal(advice?.kind, 'diverging');
  assert.deepEqual(advice.try, { learning_rate: 0.0025 });
  assert.match(
    advice.message,
    /^The training loss rises, from 3\.\d\d at step \d+ to \d\.\d\d at step \d+: .*\. Try learning_rate 2\.5e-3 instead of 1\.$/,
  );
});

const tooSmall: Given = { training: { learning_rate: 1e-6, checkpoint_steps: 30 } };

test('a loss that does not move gives advice, and a resumed run gives the same', async () => {
  const whole = adviceIn(await trainRecords(options('too-small', tooSmall)));
  assert.equal(whole.length, 1);
  const [{ kind, step, message }] = whole as [(typeof whole)[0]];
  assert.deepEqual([kind, step], ['flat', 25]);
  assert.match(message, /hardly moves, .*\. Try learning_rate 2\.5e-3 instead of 1e-6\.$/);
  for (const cut of [28, 33]) {
    const name = `too-small-${cut}`;
    await trainRecords(options(name, tooSmall), (record) => record.type === 'step' && record.step === cut);
    const rest = await trainRecords(options(name, { ...tooSmall, more: { resume: true } }));
    const [start, second] = rest;
    assert.ok(start?.type === 'start');
    assert.equal(start.resumedFrom, cut > 30 ? 30 : null);
    if (cut > 30) assert.equal(second?.type, 'advice', 'what its checkpoint holds shows it');
    assert.deepEqual(adviceIn(rest), whole);
  }
});

test('where nothing reaches the loss, a larger learning rate is no help', async () => {
  const scaledAway: Given = { training: { learning_rate: 0.01 }, peft: { lora_alpha: 1e-30 } };
  const [advice, ...others] = adviceIn(await trainRecords(options('scaled-away', scaledAway)));
  assert.equal(others.length, 0);
  assert.deepEqual([advice?.kind, advice?.step], ['no_gradient', 10]);
  assert.match(advice!.message, /Try peft \{"peft_type":"LORA"\}, which has the method's defaults\.$/);
});

test('memorising six examples shows in the validation loss', async () => {
  const few: Given = {
    training: {
      learning_rate: 0.02,
      lr_scheduler_type: 'constant',
      n_epochs: 60,
      batch_size: 6,
      eval_steps: 5,
    },
    lines: { file: 'few.jsonl', count: 6, validationFile: 'others.jsonl' },
  };
  const records = await trainRecords(options('few', few));
  const [advice, ...others] = adviceIn(records);
  assert.equal(others.length, 0);
  assert.equal(advice?.kind, 'overfitting');
  const evaluations = records.filter((record) => record.type === 'evaluation' && record.step < advice.step);
  assert.ok(evaluations.length >= 2);
  const { n_epochs: epochs } = advice.try;
  assert.deepEqual(advice.try, { n_epochs: epochs, load_best_model_at_end: true });
  assert.match(
    advice.message,
    new RegExp(`Try n_epochs ${epochs} instead of 60, or load_best_model_at_end true\\.$`),
  );

  const best = { ...few, training: { ...few.training, load_best_model_at_end: true } };
  const [published] = adviceIn(await trainRecords(options('few-best', best)));
  assert.match(published!.message, /instead of 60; the adapter of step \d+ is published/);
});

/** Findings of a curve with `totalSteps` steps. */
function findingsOf(totalSteps: number, lossAt: (step: number) => number, continues = false): Finding[] {
  const watch = new CurveWatch({
    totalSteps,
    warmupSteps: Math.ceil(totalSteps * 0.03),
    continues,
    prefers: false,
  });
  return Array.from({ length: totalSteps }, (_, step) =>
    watch.takeStep({ loss: lossAt(step), tokenAccuracy: null, gradNorm: 1 }),
  ).flat();
}

test('noise is no finding, in whatever run that learns', () => {
  const random = new Random(11, 'test');
  for (let round = 0; round < 300; round++) {
    const steps = 20 + random.integer(600);
    const noise = [0.02, 0.1, 0.3][round % 3]!;
    const time = steps / (2 + random.integer(20));
    const lossAt = (step: number) => (0.3 + 2.5 * Math.exp(-step / time)) * Math.exp(noise * random.normal());
    const found = findingsOf(steps, lossAt);
    assert.deepEqual(found, [], `round ${round}, ${steps} steps, noise ${noise}`);
  }
});

test('a curve that falls and then explodes is found soon, in short runs and long ones', () => {
  const random = new Random(12, 'test');
  for (const steps of [40, 200, 3000]) {
    const broken = steps / 2;
    const lossAt = (step: number) =>
      (step < broken ? 0.5 + 2.5 * Math.exp((-8 * step) / steps) : 6) * Math.exp(0.1 * random.normal());
    const [found, ...others] = findingsOf(steps, lossAt);
    assert.equal(others.length, 0);
    assert.equal(found?.kind, 'diverging');
    assert.ok(found.to.step - broken <= Math.max(15, steps / 5), `${found.to.step} of ${steps}`);
  }
});

test('a run of few steps gives no advice, nor does one that continues a trained adapter', () => {
  const exploding = (step: number) => 1 + step;
  assert.deepEqual(findingsOf(19, exploding), []);
  assert.equal(findingsOf(20, exploding)[0]?.kind, 'diverging');
  assert.equal(findingsOf(60, () => 2)[0]?.kind, 'flat');
  assert.deepEqual(
    findingsOf(60, () => 2, true),
    [],
  );
});
