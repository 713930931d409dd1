// A sweep's winner equals, bit for bit, the result of a separate training; and a sweep that is stopped or killed anywhere and resumed
// from its records ends like an uninterrupted one.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { parseSweep, resolveTraining, rungsOf, type TrainingOptions, trialsOf } from '../../config/index.ts';
import { type BaseModel, openBaseModel } from '../../files.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import type { CheckpointCandidate } from '../checkpoints/manifest.ts';
import { MetricLog } from '../checkpoints/metric-series.ts';
import { train } from '../loop.ts';
import { type Requirements, threadCount } from '../precision.ts';
import type { RecordOf, TrainRecord } from '../records.ts';
import { WarmModel } from '../warm-model.ts';
import type { SweepOptions } from './open-sweep.ts';
import { readSweepCheckpoint, writeSweepCheckpoint } from './sweep-checkpoint.ts';
import { trainSweep } from './train-sweep.ts';

const at = tempFolder();
let base: BaseModel;
before(async () => {
  await writeTinyModel(at('model'), { num_hidden_layers: 1 });
  base = await openBaseModel(at('model'));
  const lines = Array.from({ length: 16 }, (_, i) =>
    JSON.stringify({ prompt: `${'x'.repeat(i % 5)}${i}:`, completion: ` ${i % 3}` }),
  );
  writeFileSync(at('train.jsonl'), lines.join('\n'));
});
after(() => base.close());

const training: TrainingOptions = {
  max_steps: 9,
  n_epochs: 9,
  batch_size: 2,
  validation_split: 0.2,
  checkpoint_steps: 2,
  warmup_steps: 2,
};
const dropping = { peft_type: 'LORA', r: 2, target_modules: 'all-linear', lora_dropout: 0.1 };

function sweepOf(
  sweep: object,
  name: string,
  more: TrainingOptions = {},
  peft: object = dropping,
): SweepOptions {
  const beside = { peft, training: { ...training, ...more }, hyperparameters: {}, startPeft: null };
  const trials = trialsOf(parseSweep(sweep)!, beside);
  return {
    base,
    baseModelName: 'tiny',
    trainingFile: at('train.jsonl'),
    outputDir: at(`${name}-adapter`),
    verify: true,
    checkpoints: { dir: at(`${name}-1`), candidates: [] },
    trials: trials.map((trial) => ({
      peft: trial.peft,
      training: resolveTraining({ ...trial, exampleCount: 16, trials: trials.length }),
    })),
  };
}

async function recordsOf(
  options: SweepOptions,
  until: (record: TrainRecord) => boolean = () => false,
): Promise<TrainRecord[]> {
  const records: TrainRecord[] = [];
  for await (const record of trainSweep(options)) {
    records.push(record);
    if (until(record)) break;
  }
  return records;
}

const of = <Type extends TrainRecord['type']>(records: TrainRecord[], type: Type) =>
  records.filter((record): record is RecordOf<Type> => record.type === type);
const measures = (records: TrainRecord[]) =>
  records.flatMap((record) =>
    record.type === 'step'
      ? [[record.step, record.trialRef, record.loss, record.learningRate, record.tokens]]
      : record.type === 'evaluation'
        ? [[record.step, record.trialRef, record.loss]]
        : [],
  );
const doneOf = (records: TrainRecord[]) => of(records, 'done')[0]!;

async function filesOf(folder: string): Promise<string[]> {
  const names = ['adapter_config.json', 'adapter_model.safetensors', 'README.md'];
  return await Promise.all(names.map((name) => readFile(path.join(folder, name), 'base64')));
}

/** Counts how often a base model is loaded. */
class CountingWarmModel extends WarmModel {
  loads = 0;
  override async load(...of: Parameters<WarmModel['load']>) {
    this.loads++;
    return await super.load(...of);
  }
}

test('the best trial is published, bit for bit as if trained alone, and the others stop early', async () => {
  const options = sweepOf({ learning_rate: [1e-4, 3e-2, 1e-2], r: [2, 4, 8] }, 'whole');
  const warm = new CountingWarmModel();
  const records = await recordsOf({ ...options, warm });
  assert.equal(warm.loads, 1, 'the ranks share one loaded base');
  warm.close();
  const done = doneOf(records);
  const [start] = of(records, 'start');
  assert.deepEqual(
    rungsOf(9, 9, 2).map(({ step }) => step),
    [4, 9],
  );
  assert.equal(start?.totalSteps, 9 * 4 + 3 * 5);
  const steps = of(records, 'step');
  assert.deepEqual(
    steps.map(({ step }) => step),
    Array.from({ length: 51 }, (_, i) => i + 1),
  );
  assert.equal(steps.at(-1)?.secondsRemaining, 0);

  const rows = of(records, 'trials').at(-1)!.trials;
  const { trial } = done.winner!;
  assert.deepEqual(
    rows.filter(({ status }) => status === 'won').map((row) => row.trial),
    [trial],
  );
  assert.deepEqual(
    rows.map(({ step }) => step).sort((a, b) => a - b),
    [4, 4, 4, 4, 4, 4, 9, 9, 9],
  );
  const whole = rows.filter(({ step }) => step === 9);
  const lowest = Math.min(...whole.map(({ rungs }) => rungs[1]!.loss!));
  assert.equal(rows[trial - 1]!.rungs[1]!.loss, lowest);
  assert.ok(rows.every((row) => row.status === (row.trial === trial ? 'won' : 'stopped')));
  const first = rows.map(({ rungs }) => rungs[0]!.loss!);
  const best = first.map((loss, i) => ({ loss, trial: i + 1 })).sort((a, b) => a.loss - b.loss);
  const second = whole.map((row) => row.trial);
  assert.deepEqual(
    second,
    best
      .slice(0, 3)
      .map((each) => each.trial)
      .sort((a, b) => a - b),
  );

  // Trained alone, every trial has the same losses as in the sweep, and the winner the same files.
  for (const row of [trial, best.at(-1)!.trial]) {
    const alone: TrainRecord[] = [];
    const { trials, checkpoints: _, ...shared } = options;
    for await (const record of train({ ...shared, ...trials[row - 1]!, outputDir: at(`alone-${row}`) }))
      alone.push(record);
    const inSweep = steps.filter(({ trialRef }) => trialRef?.trial === row);
    assert.deepEqual(
      inSweep.map(({ loss, gradNorm, learningRate, trialRef }) => [
        trialRef?.step,
        loss,
        gradNorm,
        learningRate,
      ]),
      of(alone, 'step')
        .slice(0, inSweep.length)
        .map(({ loss, gradNorm, learningRate, step }) => [step, loss, gradNorm, learningRate]),
    );
    if (row !== trial) continue;
    const [config, weights] = await filesOf(done.adapterDir);
    assert.deepEqual([config, weights], (await filesOf(at(`alone-${row}`))).slice(0, 2));
    assert.equal(done.validationLoss, doneOf(alone).validationLoss);
    assert.deepEqual(done.verification, doneOf(alone).verification);
  }
  const tokens = rows.map(({ trial: own }) => {
    const [all] = steps.filter(({ trialRef }) => trialRef?.trial === own).slice(-1);
    return all!.tokens;
  });
  assert.equal(done.trainedTokens, Math.max(...tokens));
  const card = await readFile(path.join(done.adapterDir, 'README.md'), 'utf8');
  assert.match(card, /## The sweep it won[\s\S]*\| trial \| what \| steps \| loss at 4 \| loss at 9 \|/);
  assert.match(card, /\| LORA, r 8, learning rate 0\.03 \| \d \| [\d.]+ \|/);
});

test('stopped or killed anywhere, it resumes exactly from the last record', async () => {
  const sweep = { learning_rate: [1e-4, 3e-2, 1e-2], peft_type: ['LORA', 'PROMPT_TUNING'] };
  const more = { load_best_model_at_end: true, checkpoint_steps: 1 };
  const whole = await recordsOf(sweepOf(sweep, 'undisturbed', more));
  const published = await filesOf(doneOf(whole).adapterDir);
  const checkpoints = of(whole, 'checkpoint');
  assert.equal(checkpoints.length, of(whole, 'step').length);
  for (let cut = 1; cut <= checkpoints.length; cut += 6) {
    const name = `cut-${cut}`;
    const options = sweepOf(sweep, name, more);
    // Killed one record after its checkpoint, so that some work is repeated.
    const { step } = checkpoints[cut - 1]!;
    const before = await recordsOf(options, (record) => record.type === 'step' && record.step === step + 1);
    const recorded = of(before, 'checkpoint').filter((checkpoint) => checkpoint.step <= step);
    const candidates = recorded
      .map(({ dir, step, digest }): CheckpointCandidate => ({ dir, step, digest }))
      .reverse()
      .slice(0, 1);
    const resumed = sweepOf(sweep, name, more);
    const dir = at(`${name}-2`);
    const rest = await recordsOf({ ...resumed, checkpoints: { dir, candidates } });
    const [start] = of(rest, 'start');
    assert.equal(start?.resumedFrom, step, name);
    // Earlier measurements are restored from the checkpoint.
    const adopted = start.sweep!.stretches.flatMap(({ trial, offset, firstStep, series }) => [
      ...Array.from(series.train.loss, (loss, i) => [
        offset + firstStep + i,
        { trial, step: firstStep + i },
        loss,
        series.train.learningRate[i],
        series.train.tokens[i],
      ]),
      ...Array.from(series.evaluation.step, (step, i) => [
        offset + step,
        { trial, step },
        series.evaluation.loss[i],
      ]),
    ]);
    const order = (rows: unknown[][]) => rows.map((row) => JSON.stringify(row)).sort();
    assert.deepEqual(order([...adopted, ...measures(rest)]), order(measures(whole)), name);
    assert.deepEqual(of(rest, 'trials').at(-1), of(whole, 'trials').at(-1));
    assert.deepEqual(await filesOf(doneOf(rest).adapterDir), published, name);
    await rm(at(`${name}-1`), { recursive: true, force: true });
  }
});

test('asked to stop it writes a checkpoint; a damaged one is passed over', async () => {
  const sweep = { r: [2, 4] };
  const whole = doneOf(await recordsOf(sweepOf(sweep, 'calm')));
  const options = sweepOf(sweep, 'asked', { checkpoint_steps: 3 });
  const stop = new AbortController();
  const before = await recordsOf({ ...options, signal: stop.signal }, (record) => {
    if (record.type === 'step' && record.step === 5) stop.abort();
    return false;
  });
  assert.deepEqual(of(before, 'stopped'), [{ type: 'stopped', step: 5 }]);
  const checkpoints = of(before, 'checkpoint');
  assert.deepEqual(
    checkpoints.map(({ step }) => step),
    [3, 5],
  );
  writeFileSync(path.join(checkpoints[1]!.dir, 'trial-01', 'state.safetensors'), 'x');
  const candidates = checkpoints.reverse().map(({ dir, step, digest }) => ({ dir, step, digest }));
  const dir = at('asked-2');
  const rest = await recordsOf({ ...options, checkpoints: { dir, candidates } });
  const [start] = of(rest, 'start');
  assert.deepEqual(start?.passedOver, [{ step: 5, reason: 'it is damaged' }]);
  assert.equal(start.resumedFrom, 3);
  assert.deepEqual((await filesOf(doneOf(rest).adapterDir))[1], (await filesOf(whole.adapterDir))[1]);

  const other = {
    ...sweepOf({ r: [2, 8] }, 'other'),
    checkpoints: { dir: at('other-2'), candidates: candidates.slice(1) },
  };
  const [begun] = of(await recordsOf(other, ({ type }) => type === 'start'), 'start');
  assert.equal(begun?.resumedFrom, null, 'of another sweep');
});

test('a sweep started by an earlier version continues with its rungs', async () => {
  const asked = { learning_rate: [1e-4, 3e-2] };
  const options = { ...sweepOf(asked, 'early', { eval_steps: 3 }), comparison: 'early' as const };
  const before = await recordsOf(options, ({ type }) => type === 'checkpoint');
  const [{ dir, step, digest }] = of(before, 'checkpoint') as [RecordOf<'checkpoint'>];
  const { comparison: _, ...resumed } = options;
  const checkpoints = { dir: at('early-2'), candidates: [{ dir, step, digest }] };
  const records = await recordsOf({ ...resumed, checkpoints });
  const [start] = of(records, 'start');
  assert.deepEqual([start?.resumedFrom, start?.totalSteps], [step, 2 * 3 + 6]);
  assert.deepEqual(
    of(records, 'trials')
      .at(-1)!
      .trials.map(({ step }) => step)
      .sort(),
    [3, 9],
  );

  // A checkpoint that does not specify how trials are compared.
  mkdirSync(at('silent'));
  const series = new MetricLog(null).series;
  const written = await writeSweepCheckpoint(
    at('silent'),
    { identity: 'a', step: 1, trainedTokens: 1 },
    [{ series, diverged: false, checkpoint: null }],
    undefined as never,
  );
  assert.equal((await readSweepCheckpoint({ ...written, step: 1 }, 'a', at('work'))).comparison, 'early');
});

test('the requested metric decides, before the loss', async () => {
  const options = sweepOf({ learning_rate: [1e-4, 3e-2] }, 'metric', {
    metric_for_best_model: 'eval_accuracy',
    greater_is_better: false,
  });
  const records = await recordsOf(options);
  const ends = of(records, 'trials')
    .at(-1)!
    .trials.map(({ rungs, status }) => ({ ...rungs.at(-1)!, status }));
  const worst = Math.min(...ends.map(({ value }) => value!));
  const others = ends.filter(({ value }) => value! > worst);
  assert.equal(others.length, 1, 'they differ');
  // The request selects the lower value, so the worse trial wins; its loss is also the higher one.
  assert.deepEqual(
    [others[0]!.status, ends.find(({ value }) => value === worst)!.status],
    ['stopped', 'won'],
  );
});

test('it continues with the kernels that it started with, whatever the process used before', async () => {
  const requirements: Requirements = {
    precision: 'fp32',
    threads: threadCount(),
    device: 'cpu',
    kernels: 'stock',
  };
  const options = { ...sweepOf({ r: [2, 4] }, 'kernels', { precision: 'fp32' }), requirements };
  const before = await recordsOf(options, ({ type }) => type === 'checkpoint');
  const [{ dir, step, digest }] = of(before, 'checkpoint') as [RecordOf<'checkpoint'>];
  const checkpoints = { dir: at('kernels-2'), candidates: [{ dir, step, digest }] };
  const [start] = of(await recordsOf({ ...options, checkpoints }, ({ type }) => type === 'start'), 'start');
  assert.equal(start?.resumedFrom, step);
});

test('a trial that diverges is out; when all do the sweep fails, and says so', async () => {
  const options = sweepOf({ learning_rate: [1e-3, 1e-2] }, 'diverged');
  const [good, bad] = options.trials as [SweepOptions['trials'][0], SweepOptions['trials'][0]];
  // Requests cannot have such a learning rate.
  const wild = { ...bad, training: { ...bad.training, learning_rate: 1e38, warmup_steps: 0 } };
  const records = await recordsOf({ ...options, trials: [wild, good] });
  const rows = of(records, 'trials').at(-1)!.trials;
  assert.deepEqual(
    rows.map(({ status }) => status),
    ['diverged', 'won'],
  );
  assert.deepEqual(rows[0]?.rungs, []);
  assert.equal(of(records, 'step').at(-1)?.step, of(records, 'start')[0]?.totalSteps);
  const all = { ...options, trials: [wild, wild], checkpoints: { dir: at('all-1'), candidates: [] } };
  await assert.rejects(recordsOf(all), { code: 'training_diverged', param: 'sweep' });
});

test('without an example to compare trials on it fails before it begins', async () => {
  writeFileSync(at('one.jsonl'), '{"text":"alone"}');
  const options = { ...sweepOf({ r: [2, 4] }, 'alone'), trainingFile: at('one.jsonl') };
  await assert.rejects(recordsOf(options), { code: 'invalid_sweep', param: 'sweep' });
});

test('methods share a loaded base where its weights lie the same for them, and their bits are those of one alone', async () => {
  const types = ['LORA', 'PROMPT_TUNING', 'LN_TUNING', 'PREFIX_TUNING', 'IA3'];
  const lora = { peft_type: 'LORA', target_modules: 'all-linear' };
  const options = sweepOf({ peft_type: types }, 'methods', { gradient_accumulation_steps: 2 }, lora);
  const warm = new CountingWarmModel();
  const records = await recordsOf({ ...options, warm });
  // The last two need other weights or fixed sizes; the two that continue, and the winner, are loaded again.
  assert.ok(warm.loads <= 5, `loaded ${warm.loads} times`);
  warm.close();
  for (const [i, trial] of options.trials.entries()) {
    const { trials: _, checkpoints: __, ...shared } = options;
    const alone: TrainRecord[] = [];
    for await (const record of train({ ...shared, ...trial, until: 3, outputDir: at('none') }))
      alone.push(record);
    const inSweep = of(records, 'step').filter(({ trialRef }) => trialRef?.trial === i + 1);
    assert.deepEqual(
      inSweep.slice(0, 3).map(({ loss, gradNorm }) => [loss, gradNorm]),
      of(alone, 'step').map(({ loss, gradNorm }) => [loss, gradNorm]),
      trial.peft.peft_type,
    );
  }
});
