// Several training and validation files in one run: what an epoch trains on, what is measured, and that a resumed run ends with the
// same bits as an uninterrupted one.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { TrainingOptions } from '../config/index.ts';
import type { GraftError } from '../errors.ts';
import type { TrainingFile, ValidationFile } from '../examples/index.ts';
import { type BaseModel, openBaseModel } from '../files.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { trainOptions, trainRecords } from '../testing/train-adapter.ts';
import type { RecordOf, TrainRecord } from './records.ts';
import { verifyAdapter } from './verification/verify-adapter.ts';

const at = tempFolder();
let base: BaseModel;
before(async () => {
  await writeTinyModel(at('model'), { num_hidden_layers: 1 });
  base = await openBaseModel(at('model'));
  write('a.jsonl', 9, (i) => ({ prompt: `a${i}:`, completion: ` ${i % 3}` }));
  write('b.jsonl', 4, (i) => ({ prompt: `${'b'.repeat(1 + i)}:`, completion: ` ${i}${i}` }));
  write('first.jsonl', 9, (i) => ({ prompt: `v${i}:`, completion: ` ${i % 2}` }));
  write('second.jsonl', 3, (i) => ({ prompt: `w${i}${i}:`, completion: ` ${'9'.repeat(1 + i)}` }));
  write('text.jsonl', 3, (i) => ({ text: `some text ${i}` }));
  writeFileSync(at('empty.jsonl'), '');
  writeFileSync(at('bad.jsonl'), '{"prompt":"a","completion":"b"}\n{"prompt":"a"\n');
  for (const [name, kinds] of [
    ['c1', 'xy'],
    ['c2', 'yz'],
  ] as const)
    write(`${name}.jsonl`, 6, (i) => ({ text: `${name} ${i}`, label: kinds[i % 2] }));
});
after(() => base.close());

function write(name: string, lines: number, line: (i: number) => object) {
  writeFileSync(at(name), Array.from({ length: lines }, (_, i) => `${JSON.stringify(line(i))}\n`).join(''));
}

interface Given {
  trainingFiles: TrainingFile[];
  validationFiles?: ValidationFile[];
  training?: TrainingOptions;
  peft?: Record<string, unknown>;
}

function optionsOf(name: string, { trainingFiles, validationFiles, training = {}, peft }: Given) {
  const at1 = <File extends { path: string }>(file: File) => ({ ...file, path: at(file.path) });
  const options = trainOptions({
    base,
    peft: peft ?? { peft_type: 'LORA', r: 2, target_modules: 'all-linear', lora_dropout: 0.1 },
    trainingFile: at(trainingFiles[0]!.path),
    trainingFiles: trainingFiles.map(at1),
    ...(validationFiles && {
      validationFile: at(validationFiles[0]!.path),
      validationFiles: validationFiles.map(at1),
    }),
    exampleCount: 13,
    training: { batch_size: 2, learning_rate: 0.01, n_epochs: 3, ...training },
    outputDir: at(name, 'adapter'),
  });
  return { ...options, verify: true };
}

const run = (name: string, given: Given) => trainRecords(optionsOf(name, given));
const doneOf = (records: TrainRecord[]) => records.at(-1) as RecordOf<'done'>;
const startOf = (records: TrainRecord[]) => records[0] as RecordOf<'start'>;
const evaluations = (records: TrainRecord[]) => records.filter((record) => record.type === 'evaluation');
const measured = (records: TrainRecord[]) =>
  records.flatMap((record): { step: number }[] => {
    if (record.type === 'evaluation') return [record];
    if (record.type !== 'step') return [];
    const { tokensPerSecond: _, secondsRemaining: __, memoryBytes: ___, ...rest } = record;
    return [rest];
  });
const both: TrainingFile[] = [{ path: 'a.jsonl' }, { path: 'b.jsonl' }];
const sets: ValidationFile[] = [
  { path: 'first.jsonl', name: 'first' },
  { path: 'second.jsonl', name: 'second' },
];

async function filesOf(folder: string): Promise<Map<string, Buffer>> {
  const names = await readdir(folder);
  const read = async (name: string) => [name, await readFile(path.join(folder, name))] as const;
  return new Map(await Promise.all(names.map(read)));
}

const mixtures: Record<string, Given> = {
  concat: {
    trainingFiles: [
      { path: 'a.jsonl', epochs: 0.5 },
      { path: 'b.jsonl', epochs: 2 },
    ],
  },
  interleave_under: {
    trainingFiles: [
      { path: 'a.jsonl', weight: 1 },
      { path: 'b.jsonl', weight: 2 },
    ],
    training: { mix_strategy: 'interleave_under' },
  },
  interleave_over: {
    trainingFiles: [
      { path: 'a.jsonl', weight: 1 },
      { path: 'b.jsonl', weight: 2 },
    ],
    training: { mix_strategy: 'interleave_over' },
  },
};

for (const [strategy, given] of Object.entries(mixtures))
  test(`${strategy}: killed at any step and resumed, a run ends with the same bits`, async () => {
    const training = {
      ...given.training,
      max_steps: 11,
      checkpoint_steps: 3,
      eval_steps: 2,
      metric_for_best_model: 'eval_second_loss',
      load_best_model_at_end: true,
    };
    const options = optionsOf(strategy, { ...given, validationFiles: sets, training });
    const whole = await trainRecords({ ...options, checkpointDir: at(strategy, 'whole') });
    const expected = await filesOf(doneOf(whole).adapterDir);
    for (const killed of [4, 10]) {
      const checkpointDir = at(strategy, `killed-${killed}`);
      const outputDir = at(strategy, `resumed-${killed}`);
      await trainRecords(
        { ...options, outputDir, checkpointDir },
        (record) => record.type === 'step' && record.step === killed,
      );
      const rest = await trainRecords({ ...options, outputDir, checkpointDir, resume: true });
      const from = startOf(rest).resumedFrom!;
      assert.equal(from, killed - (killed % 3));
      assert.deepEqual(
        measured(rest),
        measured(whole).filter(({ step }) => step > from),
      );
      assert.deepEqual(doneOf(rest).best, doneOf(whole).best);
      assert.deepEqual(await filesOf(outputDir), expected);
    }
  });

test('an epoch has each file as often as it should', async () => {
  const lengths: Record<string, number> = { concat: 5 + 8, interleave_under: 2 + 4, interleave_over: 9 + 18 };
  for (const [strategy, given] of Object.entries(mixtures)) {
    const start = startOf(
      await trainRecords(optionsOf(`epoch-${strategy}`, given), ({ type }) => type === 'start'),
    );
    assert.equal(start.totalSteps, 3 * Math.ceil(lengths[strategy]! / 2), strategy);
  }
});

test('another order of files, other shares and names of sets are other runs: their checkpoints are not continued', async () => {
  const training = { max_steps: 4, checkpoint_steps: 2 };
  const given = { trainingFiles: both, validationFiles: sets, training };
  const checkpointDir = at('other', 'checkpoints');
  await trainRecords({ ...optionsOf('other', given), checkpointDir }, ({ type }) => type === 'checkpoint');
  const resumed = async (changed: Partial<Given>) =>
    startOf(
      await trainRecords(
        { ...optionsOf('other', { ...given, ...changed }), checkpointDir, resume: true },
        ({ type }) => type === 'start',
      ),
    ).resumedFrom;
  assert.equal(await resumed({ trainingFiles: [{ path: 'a.jsonl', epochs: 2 }, { path: 'b.jsonl' }] }), null);
  assert.equal(await resumed({ trainingFiles: both.toReversed() }), null);
  assert.equal(await resumed({ validationFiles: [sets[0]!, { ...sets[1]!, name: 'other' }] }), null);
  assert.equal(await resumed({}), 2);
});

test('each validation file is measured as if it were the only one, and the loss is the mean over all targets', async () => {
  const training = { max_steps: 2, eval_steps: 1 };
  const together = evaluations(await run('sets', { trainingFiles: both, validationFiles: sets, training }));
  assert.equal(together.length, 2);
  const [first, second] = [
    await run('only-first', { trainingFiles: both, validationFiles: [sets[0]!], training }),
    await run('only-second', { trainingFiles: both, validationFiles: [sets[1]!], training }),
  ].map(evaluations);
  // Tokens that are trained on: the completion and the end of the text, by the tiny tokenizer.
  for (const [i, { loss, tokenAccuracy, metrics }] of together.entries()) {
    const close = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-5, `${a}, ${b}`);
    close(metrics.eval_first_loss!, first![i]!.loss);
    close(metrics.eval_second_loss!, second![i]!.loss);
    assert.equal(metrics.eval_first_accuracy, first![i]!.tokenAccuracy);
    assert.equal(metrics.eval_second_accuracy, second![i]!.tokenAccuracy);
    assert.equal(metrics.eval_first_loss, first![i]!.metrics.eval_first_loss);
    const share = (loss - metrics.eval_second_loss!) / (metrics.eval_first_loss! - metrics.eval_second_loss!);
    assert.ok(share > 0.5 && share < 1, `the first file has most targets: ${share}`);
    close(tokenAccuracy!, share * metrics.eval_first_accuracy! + (1 - share) * metrics.eval_second_accuracy!);
  }
});

test('the files of the adapter are measured on all sets, as the live model was', async () => {
  const options = optionsOf('verified', {
    trainingFiles: both,
    validationFiles: sets,
    training: { max_steps: 3 },
  });
  const done = doneOf(await trainRecords(options));
  const { reloadedLoss } = await verifyAdapter({ ...options, adapterDir: done.adapterDir });
  assert.equal(reloadedLoss, done.validationLoss);
  const metrics = (set: string) =>
    ['loss', 'accuracy', 'perplexity'].map((metric) => `eval_${set}_${metric}`);
  assert.deepEqual(
    Object.keys(done.metrics).filter((name) => name.startsWith('eval_')),
    [...metrics('first'), ...metrics('second')],
  );
});

test('a classifier has the classes of all training files', async () => {
  const records = await run('classifier', {
    trainingFiles: [{ path: 'c1.jsonl' }, { path: 'c2.jsonl' }],
    validationFiles: [
      { path: 'c2.jsonl', name: 'c2' },
      { path: 'c1.jsonl', name: 'c1' },
    ],
    training: { max_steps: 2, metric_for_best_model: 'eval_c1_accuracy', load_best_model_at_end: true },
    peft: { peft_type: 'LORA', r: 2, target_modules: 'all-linear', task_type: 'SEQ_CLS' },
  });
  const { best, metrics } = doneOf(records);
  assert.equal(best?.metric, 'eval_c1_accuracy');
  assert.ok(metrics.eval_c2_accuracy! >= 0 && metrics.eval_c1_accuracy! >= 0);
});

test('the same file twice, and a part held out of all files', async () => {
  const twice = startOf(
    await run('twice', { trainingFiles: [both[0]!, both[0]!], training: { max_steps: 1 } }),
  );
  assert.equal(twice.totalSteps, 1);
  assert.equal(twice.examples, 18);
  const training = { max_steps: 2, validation_split: 0.3 };
  const split = await run('split', { trainingFiles: both, training });
  const { examples } = startOf(split);
  assert.ok(examples > 5 && examples < 13, `${examples}`);
  assert.ok(evaluations(split).length > 0);
});

test('errors name the file', async () => {
  const fault = async (given: Partial<Given>) => {
    const name = 'faults';
    return (await run(name, { trainingFiles: both, ...given }).then(
      () => assert.fail('it trained'),
      (error: GraftError) => error,
    )) as GraftError;
  };
  const bad = await fault({ trainingFiles: [both[0]!, { path: 'bad.jsonl', label: 'bad.jsonl' }] });
  assert.equal(bad.param, 'training_files[1]');
  assert.match(bad.message, /^training_files\[1\] \(bad\.jsonl\): .*line 2/s);
  assert.equal(bad.details?.[0]?.line, 2);
  const empty = await fault({ trainingFiles: [...both, { path: 'empty.jsonl' }] });
  assert.deepEqual([empty.code, empty.param], ['empty_file', 'training_files[2]']);
  const other = await fault({ trainingFiles: [...both, { path: 'text.jsonl' }] });
  assert.equal(other.param, 'training_files[2]');
  assert.match(
    other.message,
    /training_files\[2\] must have prompt_completion examples like training_files\[0\], but has text/,
  );
  const held = await fault({ validationFiles: [sets[0]!, { path: 'text.jsonl', name: 'text' }] });
  assert.equal(held.param, 'validation_files[1]');
  const unknown = await fault({
    validationFiles: sets,
    training: { metric_for_best_model: 'eval_third_loss', load_best_model_at_end: true },
  });
  assert.equal(unknown.param, 'training.metric_for_best_model');
  assert.match(unknown.message, /first, second.*eval_first_loss/);
});
