import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { parsePeftConfig, resolveTraining, type TrainingOptions } from '../config/index.ts';
import type { GraftError } from '../errors.ts';
import { readingOptions } from '../examples/example-source.ts';
import { readExamples } from '../examples/read-examples.ts';
import { readTrainingData } from '../examples/training-data.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { tinyFamilies } from '../testing/tiny-families.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { loadTokenizer } from '../text/index.ts';
import { leadingPositions } from '../tuners/methods.ts';
import { longestOf, SampleGatherer, sampledSize } from './gather-sample.ts';
import { type SampledSource, sampleExamples } from './sample-examples.ts';

const at = tempFolder();
await writeTinyModel(at('llama'));
await writeTinyModel(at('t5'), tinyFamilies.t5);
const readJson = (...names: string[]) => JSON.parse(readFileSync(at(...names), 'utf8'));
const tokenizer = loadTokenizer({
  tokenizerJson: readJson('llama', 'tokenizer.json'),
  tokenizerConfig: readJson('llama', 'tokenizer_config.json'),
  chatTemplate: null,
});

interface Given {
  model?: 'llama' | 't5';
  peft?: object;
  training?: TrainingOptions;
  files: { training: Iterable<object | string>; validation?: Iterable<object | string> };
}

function write(name: string, lines: Iterable<object | string>): { path: string; lines: number } {
  const texts = Array.from(lines, (line) => (typeof line === 'string' ? line : JSON.stringify(line)));
  writeFileSync(at(name), texts.map((text) => `${text}\n`).join(''));
  return { path: at(name), lines: texts.length };
}

function source({ model = 'llama', peft: options = {}, training = {}, files }: Given): SampledSource {
  const peft = parsePeftConfig({ peft_type: 'LORA', r: 2, target_modules: 'all-linear', ...options });
  const file = write('training.jsonl', files.training);
  const other = files.validation ? write('validation.jsonl', files.validation) : null;
  return {
    tokenizer,
    modelConfig: readJson(model, 'config.json'),
    peft,
    trainingFile: file.path,
    validationFile: other?.path ?? null,
    training: resolveTraining({
      peft,
      training,
      exampleCount: file.lines,
      hasValidationFile: other !== null,
    }),
    counts: { training_file: [file.lines], validation_file: [other?.lines ?? null] },
  };
}

/** Sizes of all examples of the same files as read for training. */
async function trained(from: SampledSource) {
  const { format, labels, training, validation } = await readTrainingData(from);
  const { virtualTokens } = leadingPositions(from.peft);
  const sample = (examples: typeof training) => ({
    examples: examples.length,
    sizes: examples.map((example) => sampledSize(example, virtualTokens)),
  });
  return {
    format,
    labels,
    unread: [],
    training: sample(training),
    validation: validation.length > 0 ? sample(validation) : null,
  };
}

/** The sample gathered while all lines are read. */
async function gathered(from: SampledSource) {
  const gatherer = new SampleGatherer(from.peft, from.training, Boolean(from.validationFile));
  const read = await readExamples(
    { ...from, ...readingOptions(from.training) },
    { onExample: (example, file, raw) => gatherer.add(example, file, raw) },
  );
  return gatherer.sample(read);
}

const text = (i: number) => 'x'.repeat(1 + ((i * 7) % 23));
const many = <T>(count: number, line: (i: number) => T): T[] =>
  Array.from({ length: count }, (_, i) => line(i));

test('the sizes of small files are those that training has', async () => {
  const chat = (i: number) => ({
    messages: [
      { role: 'user', content: text(i) },
      { role: 'assistant', content: text(i + 1) },
    ],
  });
  const jobs: Record<string, Given> = {
    chat: { files: { training: many(9, chat) } },
    'a validation file': { files: { training: many(9, chat), validation: many(3, chat) } },
    'a split': { training: { validation_split: 0.3, seed: 5 }, files: { training: many(10, chat) } },
    'a split by content': {
      training: { validation_split: 0.3, validation_seed: 7 },
      files: { training: many(40, chat) },
    },
    'a split of classes': {
      peft: { task_type: 'SEQ_CLS' },
      training: { validation_split: 0.2 },
      files: { training: many(40, (i) => ({ text: text(i), label: 'ab'[i % 2] })) },
    },
    'long texts': {
      training: { max_seq_length: 16, validation_split: 0.3, text_stride: 2 },
      files: { training: many(20, (i) => ({ text: text(i).repeat(3) })) },
    },
    'a split of one line': { training: { validation_split: 0.3 }, files: { training: many(1, chat) } },
    'virtual tokens': {
      peft: { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 6, r: undefined, target_modules: undefined },
      files: { training: many(5, chat) },
    },
    prompts: { files: { training: many(5, (i) => ({ prompt: text(i), completion: text(i + 3) })) } },
    classes: {
      peft: { task_type: 'SEQ_CLS' },
      files: {
        training: many(6, (i) => ({ text: text(i), label: 'abc'[i % 3] })),
        validation: [{ text: 'x', label: 'b' }],
      },
    },
    words: {
      peft: { task_type: 'TOKEN_CLS' },
      files: { training: many(6, (i) => ({ tokens: ['a', text(i)], labels: [i % 2, -100] })) },
    },
    pairs: {
      peft: { task_type: 'FEATURE_EXTRACTION' },
      files: {
        training: many(6, (i) => ({ anchor: text(i), positive: text(i + 1), negative: text(i + 2) })),
      },
    },
    'texts into texts': {
      model: 't5',
      peft: { task_type: 'SEQ_2_SEQ_LM' },
      files: { training: many(6, (i) => ({ text: text(i), target: text(i + 2) })) },
    },
  };
  for (const [label, given] of Object.entries(jobs)) {
    const from = source(given);
    assert.deepEqual(await sampleExamples(from), await trained(from), label);
    assert.deepEqual(await gathered(from), await trained(from), `${label}, gathered`);
  }
});

test('the longest example of a sample has a soft prompt before it', async () => {
  const longest = async (given: Given) => {
    const from = source(given);
    return longestOf(await sampleExamples(from), from.peft);
  };
  // Each sequence includes an end token.
  const files = {
    training: [
      { prompt: 'a', completion: 'xxx' },
      { prompt: 'a', completion: 'x' },
    ],
  };
  assert.equal(await longest({ files }), 5);
  const soft = { r: undefined, target_modules: undefined, num_virtual_tokens: 6 };
  for (const peft_type of ['PROMPT_TUNING', 'PREFIX_TUNING'])
    assert.equal(await longest({ peft: { peft_type, ...soft }, files }), 11);
  const pairs = { training: [{ anchor: 'x', positive: 'xxxxxxx' }] };
  assert.equal(await longest({ peft: { task_type: 'FEATURE_EXTRACTION' }, files: pairs }), 7);
});

test('of many lines 2,048 are tokenised, of the whole file and in its order', async () => {
  const lines = many(5000, (i) => ({ text: 'x'.repeat(1 + Math.floor(i / 50)) }));
  const { training } = await sampleExamples(source({ files: { training: lines } }));
  assert.equal(training.examples, 5000);
  assert.equal(training.sizes.length, 2048);
  const tokens = training.sizes.map((size) => size.tokens);
  assert.deepEqual(
    tokens,
    tokens.toSorted((a, b) => a - b),
  );
  assert.deepEqual([tokens[0], tokens.at(-1)], [2, 101]);
});

test('of many lines that are all read every second or fourth is kept', async () => {
  const lines = many(5000, (i) => ({ text: 'x'.repeat(1 + Math.floor(i / 50)) }));
  const { training } = await gathered(source({ files: { training: lines } }));
  assert.deepEqual([training.examples, training.sizes.length], [5000, 1250]);
  assert.deepEqual(
    training.sizes.map(({ tokens }) => tokens),
    Array.from({ length: 1250 }, (_, i) => 2 + Math.floor((4 * i) / 50)),
  );
});

test('where not every line has a size, what is held out is counted and has the sizes of all', async () => {
  const split = { validation_split: 0.1 };
  const from = source({ training: split, files: { training: many(3000, (i) => ({ text: text(i) })) } });
  const { training, validation } = await sampleExamples(from);
  assert.deepEqual([training.examples, validation?.examples], [2700, 300]);
  assert.deepEqual(validation?.sizes, training.sizes);
});

test('of a large file a part is read, all over it, without preferring long lines', async () => {
  // 40 MiB: alternating lines of 100 and of 5,000 bytes, longer in the second half.
  const line = (i: number) => ({ id: 'y'.repeat(i % 2 ? 4900 : 10), text: 'x'.repeat(i < 8000 ? 10 : 50) });
  const from = source({ training: { validation_split: 0.1 }, files: { training: many(16_000, line) } });
  const { training, validation } = await sampleExamples(from);
  assert.deepEqual([training.examples, validation?.examples], [14_400, 1600]);
  assert.ok(training.sizes.length > 1500 && training.sizes.length <= 2048, `${training.sizes.length}`);
  const later = training.sizes.filter(({ tokens }) => tokens === 51).length / training.sizes.length;
  assert.ok(Math.abs(later - 0.5) < 0.05, `${later} of the second half`);
  const guessed = await sampleExamples({
    ...from,
    counts: { training_file: [null], validation_file: [null] },
  });
  assert.ok(Math.abs(guessed.training.examples / 14_400 - 1) < 0.05, `${guessed.training.examples} guessed`);
});

test('lines of megabytes do not make more of a file be read', async () => {
  const long = { id: 'y'.repeat(3 * 2 ** 20), text: 'x' };
  const from = source({ files: { training: many(20, () => long) } });
  const { training } = await sampleExamples(from);
  assert.equal(training.examples, 20);
  assert.ok(training.sizes.length >= 1 && training.sizes.length < 12, `${training.sizes.length} lines`);
});

test('a large classifier has the classes that were seen, and takes every label', async () => {
  const line = (i: number) => ({ id: 'y'.repeat(5000), text: 'x', label: i === 1777 ? 'rare' : 'ab'[i % 2] });
  const files = { training: many(4000, line), validation: [{ text: 'x', label: 'rare' }] };
  const from = source({ peft: { task_type: 'SEQ_CLS' }, files });
  const { labels, validation } = await sampleExamples(from);
  assert.deepEqual(labels?.slice(0, 2), ['a', 'b']);
  assert.equal(validation?.examples, 1);
  const alike = many(4000, (i) => ({ ...line(i), label: 'a' }));
  const same = source({ peft: { task_type: 'SEQ_CLS' }, files: { training: alike } });
  assert.equal((await sampleExamples(same)).labels?.length, 2);
});

const rejects = async (given: Given, expected: Partial<GraftError>) =>
  await assert.rejects(sampleExamples(source(given)), (error: GraftError) => {
    const { code, param, message } = error;
    assert.deepEqual({ code, param, message }, expected);
    return true;
  });

test('bad lines are listed together, by their numbers', async () => {
  const asks = (completion: string) => ({ prompt: 'a', completion });
  const lines = [asks('fine'), asks('x'.repeat(2099)), '[]', asks('')];
  await rejects(
    { files: { training: lines } },
    {
      code: 'invalid_jsonl',
      param: 'training_file',
      message:
        'line 2 has 2101 tokens; the limit (max_seq_length) is 2048; line 3 must be a JSON object, got []; line 4 "completion" is empty',
    },
  );
  await rejects(
    { files: { training: [{ text: 'a' }], validation: [{ prompt: 'a', completion: 'b' }] } },
    {
      code: 'invalid_jsonl',
      param: 'validation_file',
      message:
        'the validation file must have text examples like the training file, but has prompt_completion examples',
    },
  );
  await rejects(
    { files: { training: [{ text: 'a', label: 'b' }] } },
    {
      code: 'data_unfit_for_task',
      param: 'training_file',
      message:
        'task_type CAUSAL_LM learns from lines of {"messages"} or {"prompt", "completion"} or {"prompt", "chosen", "rejected"} or {"prompt", "completion", "label"} or {"text"}, but the file has {"text", "label"}',
    },
  );
  await rejects(
    { files: { training: [''] } },
    { code: 'empty_file', param: 'training_file', message: 'the file holds no examples' },
  );
});

test('a bad line of a large file is named by its number near the beginning, and by its byte elsewhere', async () => {
  const line = (i: number, length: number) => ({
    id: `${'y'.repeat(5000)}${1000 + i}`,
    prompt: 'a',
    completion: 'x'.repeat(length),
  });
  const first = many(4000, (i) => line(i, i === 1 ? 3000 : 1));
  await rejects(
    { files: { training: first } },
    {
      code: 'example_too_long',
      param: 'training_file',
      message: 'line 2 has 3002 tokens; the limit (max_seq_length) is 2048',
    },
  );
  const late = many(4000, (i) => line(i, i < 3990 ? 1 : 3000));
  await assert.rejects(sampleExamples(source({ files: { training: late } })), (error: GraftError) => {
    assert.match(error.message, /^the line that begins with byte \d+ has 3002 tokens/);
    const byte = Number(/byte (\d+)/.exec(error.message)![1]);
    const text = readFileSync(at('training.jsonl'))
      .subarray(byte - 1, byte + 8)
      .toString();
    assert.equal(text, '\n{"id":"y');
    return true;
  });
});
