// Bad lines that are left out (`on_bad_lines: "skip"`) instead of failing the job.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { parsePeftConfig, parseTrainingOptions, resolveTraining } from '../config/index.ts';
import type { GraftError } from '../errors.ts';
import { sampleExamples } from '../estimate/sample-examples.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { loadTokenizer } from '../text/index.ts';
import { checkDataFile } from './data-file.ts';
import { readExamples } from './read-examples.ts';

const at = tempFolder();
await writeTinyModel(at('model'));
const readJson = (name: string) => JSON.parse(readFileSync(at('model', name), 'utf8'));
const peft = parsePeftConfig({
  peft_type: 'LORA',
  r: 2,
  target_modules: 'all-linear',
  task_type: 'CAUSAL_LM',
});

/** Lines 2, 4 and 5 are no examples; line 6 is too long for the model. */
const lines = [
  '{"text":"one"}',
  'nope',
  '{"text":"two"}',
  '{"text":1}',
  '{"text":2}',
  `{"text":"${'x'.repeat(90)}"}`,
];

function source(file: string, content: string, options: object = {}) {
  writeFileSync(at(file), content);
  return {
    trainingFile: at(file),
    tokenizer: loadTokenizer({
      tokenizerJson: readJson('tokenizer.json'),
      tokenizerConfig: readJson('tokenizer_config.json'),
      chatTemplate: null,
    }),
    modelConfig: readJson('config.json'),
    maxSeqLength: 40,
    peft,
    ...options,
  };
}
const skip = (maxBadLines: number) => ({ onBadLines: 'skip' as const, maxBadLines });

test('good lines are read, and bad ones are counted and listed by fault, of the file and of the model', async () => {
  const read: number[] = [];
  const from = source('some.jsonl', lines.join('\n'), skip(4));
  const { counts, badLines } = await readExamples(from, { onExample: ({ line }) => read.push(line) });
  assert.deepEqual(read, [1, 3]);
  assert.equal(counts.training_file.bad_lines, 4);
  assert.deepEqual(
    badLines.map(({ param, line, count = 1 }) => [param, line, count]),
    [
      ['training_file', 2, 1],
      ['training_file', 4, 2],
      ['training_file', 6, 1],
    ],
  );
});

test('more than the limit fails with the lines, and so does any without the option', async () => {
  const content = lines.join('\n');
  const failure = async (options: object) =>
    await readExamples(source('many.jsonl', content, options)).then(
      () => assert.fail('it passed'),
      (error: GraftError) => error,
    );
  const error = await failure(skip(3));
  assert.match(error.message, /^has 4 bad lines, and max_bad_lines is 3: line 2 is not valid JSON/);
  assert.equal(error.details?.length, 3);
  assert.match((await failure({})).message, /^line 2 is not valid JSON/);
});

test('a file of bad lines alone fails, and one without bad lines has no counts of them', async () => {
  await assert.rejects(
    readExamples(source('bad.jsonl', '{"text":1}\n{"text":2}\n', skip(9))),
    /line 1 "text" must be a string/,
  );
  const good = await readExamples(source('good.jsonl', '{"text":"one"}\n', skip(9)));
  assert.deepEqual([good.counts.training_file.bad_lines, good.badLines], [undefined, []]);
});

test('a file is checked as its job reads it, and an estimate samples the good lines', async () => {
  writeFileSync(at('check.jsonl'), lines.join('\n'));
  await assert.rejects(checkDataFile(at('check.jsonl')), /line 2 is not valid JSON/);
  const { examples, skipped } = await checkDataFile(at('check.jsonl'), {}, null, 'skip');
  assert.deepEqual([examples, skipped?.details?.length], [3, 2]);
  const training = resolveTraining({
    peft,
    training: { on_bad_lines: 'skip', max_seq_length: 40, overlong: 'skip' },
    exampleCount: 3,
  });
  const from = source('estimate.jsonl', lines.join('\n'), {
    training,
    counts: { training_file: [null], validation_file: [] },
  });
  const sample = await sampleExamples(from as never);
  assert.equal(sample.format, 'text');
});

test('the limit needs the option, and is 100 by default', () => {
  assert.throws(
    () => parseTrainingOptions({ max_bad_lines: 3 }),
    /training.max_bad_lines: needs on_bad_lines: "skip"/,
  );
  const resolved = resolveTraining({ peft, training: { on_bad_lines: 'skip' }, exampleCount: 3 });
  assert.equal(resolved.max_bad_lines, 100);
  assert.ok(
    !('on_bad_lines' in resolveTraining({ peft, training: { on_bad_lines: 'fail' }, exampleCount: 3 })),
  );
});
