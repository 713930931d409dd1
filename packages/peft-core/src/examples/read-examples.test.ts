import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { parsePeftConfig } from '../config/index.ts';
import type { GraftError } from '../errors.ts';
import { sha256 } from '../sha256.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { loadTokenizer, loadTokenizerWith } from '../text/index.ts';
import type { DataFile } from './data-files.ts';
import { readExamples } from './read-examples.ts';
import type { TrainingExample } from './training-example.ts';

const at = tempFolder();
await writeTinyModel(at('model'));
const readJson = (name: string) => JSON.parse(readFileSync(at('model', name), 'utf8'));
const tokenizer = loadTokenizer({
  tokenizerJson: readJson('tokenizer.json'),
  tokenizerConfig: readJson('tokenizer_config.json'),
  chatTemplate: null,
});

function source(task_type: string, files: { training: object[]; validation?: object[] }) {
  const write = (name: string, lines: object[]) => {
    writeFileSync(at(name), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    return at(name);
  };
  return {
    trainingFile: write('training.jsonl', files.training),
    validationFile: files.validation ? write('validation.jsonl', files.validation) : null,
    tokenizer,
    modelConfig: readJson('config.json'),
    maxSeqLength: 40,
    peft: parsePeftConfig({ peft_type: 'LORA', r: 2, target_modules: 'all-linear', task_type }),
  };
}

async function read(from: ReturnType<typeof source>) {
  const examples: Record<DataFile, TrainingExample[]> = { training_file: [], validation_file: [] };
  const summary = await readExamples(from, { onExample: (each, file) => examples[file].push(each) });
  return { ...summary, ...examples };
}

test('both files become examples, and the digest is of their bytes', async () => {
  const files = { training: [{ text: 'one' }, { text: 'two' }], validation: [{ text: 'three' }] };
  const from = source('CAUSAL_LM', files);
  const { format, labels, digest, training_file, validation_file } = await read(from);
  assert.deepEqual([format, labels], ['text', null]);
  assert.deepEqual(
    [training_file, validation_file].map((file) => file.map(({ line }) => line)),
    [[1, 2], [1]],
  );
  assert.equal(digest, sha256('{"text":"one"}\n{"text":"two"}\n{"text":"three"}\n'));
});

test('a classifier has the classes of the training file, also for the first lines', async () => {
  const label = (name: string) => ({ text: name, label: name });
  const from = source('SEQ_CLS', {
    training: [label('b'), label('c'), label('a')],
    validation: [label('c')],
  });
  const { labels, training_file, validation_file } = await read(from);
  assert.deepEqual(labels, ['a', 'b', 'c']);
  assert.deepEqual(
    training_file.map(({ label }) => label),
    [1, 2, 0],
  );
  assert.equal(validation_file[0]?.label, 2);
  const head = { ...from, headLabels: ['c', 'b', 'a'] };
  assert.deepEqual((await read(head)).labels, ['c', 'b', 'a']);
});

test('labels that are weighed must be labels of the data', async () => {
  const from = source('SEQ_CLS', { training: ['a', 'b'].map((label) => ({ text: label, label })) });
  await read({ ...from, classWeights: { b: 2 } } as typeof from);
  await assert.rejects(read({ ...from, classWeights: { c: 2 } } as typeof from), {
    code: 'invalid_training_option',
    param: 'training.class_weights',
  });
});

test('a text that has several labels, or none, has a class for each', async () => {
  const several = [
    { text: 'x', labels: ['b', 'a'] },
    { text: 'y', labels: [] },
    { text: 'z', labels: ['b'] },
  ];
  const { format, labels, training_file } = await read(source('SEQ_CLS', { training: several }));
  assert.deepEqual([format, labels], ['multi_label_classification', ['a', 'b']]);
  assert.deepEqual(
    training_file.map(({ labels }) => labels),
    [[1, 0], [], [1]],
  );
});

test('every bad line is listed, and the error names the file', async () => {
  const long = { text: 'x'.repeat(100) };
  const validation = Array.from({ length: 300 }, (_, i) => (i % 2 ? long : { text: 'short' }));
  const bad: number[] = [];
  await assert.rejects(
    readExamples(source('CAUSAL_LM', { training: [{ text: 'fine' }], validation }), {
      onBadLine: (line) => bad.push(line),
    }),
    (error: GraftError) => {
      assert.deepEqual([error.code, error.param], ['example_too_long', 'validation_file']);
      assert.deepEqual(
        error.details?.map(({ line, count, lines = [] }) => [line, count, lines.length]),
        [[2, 150, 150]],
      );
      assert.match(error.message, /^line 2 has .* in lines 4, 6, .* and 139 more\): 150 bad lines in all$/);
      return true;
    },
  );
  assert.deepEqual(
    bad,
    Array.from({ length: 150 }, (_, i) => 2 * i + 2),
  );
});

test('every invalid line for a classifier is listed once', async () => {
  const training = [{ text: 'x', label: 'a' }, { text: 'x', label: 1.5 }, { label: 'a' }];
  const bad: number[] = [];
  await assert.rejects(
    readExamples(source('SEQ_CLS', { training }), { onBadLine: (line) => bad.push(line) }),
    { code: 'invalid_jsonl', param: 'training_file' },
  );
  assert.deepEqual(bad, [2, 3]);
});

test('invalid lines and lines that are too long are listed together, in order', async () => {
  const long = 'x'.repeat(100);
  for (const [task, more] of [
    ['CAUSAL_LM', {}],
    ['SEQ_CLS', { label: 'a' }],
  ] as const) {
    const line = (fields: object) => ({ ...more, ...fields });
    const training = ['fine', long, null, long, 'fine', null].map((text) => line({ text }));
    const from = source(task, { training });
    const bad: number[] = [];
    await assert.rejects(readExamples(from, { onBadLine: (line) => bad.push(line) }), (error: GraftError) => {
      assert.deepEqual([error.code, error.param], ['invalid_jsonl', 'training_file']);
      const reported = error.details?.map(({ lines = [], message }) => [
        lines.map(([line]) => line),
        / tokens; /.test(message),
      ]);
      assert.deepEqual(reported, [
        [[2, 4], true],
        [[3, 6], false],
      ]);
      assert.deepEqual(bad, [2, 3, 4, 6]);
      return true;
    });
  }
});

test('progress counts each byte once, though the file of a classifier is read twice', async () => {
  const label = (name: string) => ({ text: name, label: name });
  for (const [task, files] of [
    ['SEQ_CLS', { training: [label('a'), label('b')], validation: [label('a')] }],
    ['CAUSAL_LM', { training: [{ text: 'one' }], validation: [{ text: 'two' }] }],
  ] as const) {
    const steps: [number, number][] = [];
    const from = source(task, { training: [...files.training], validation: [...files.validation] });
    await readExamples(from, { onBytes: (bytes, total) => steps.push([bytes, total]) });
    const total = [...files.training, ...files.validation].map((each) => JSON.stringify(each).length + 1);
    const all = total.reduce((sum, bytes) => sum + bytes, 0);
    assert.deepEqual(steps.at(-1), [all, all]);
    assert.ok(steps.every(([bytes], i) => i === 0 || bytes > steps[i - 1]![0]));
  }
});

test('lines of another kind than the task, or than the training file, are refused', async () => {
  const labelled = [{ text: 'x', label: 'a' }];
  await assert.rejects(readExamples(source('CAUSAL_LM', { training: labelled })), {
    code: 'data_unfit_for_task',
    param: 'training_file',
  });
  const validation = [{ prompt: 'x', completion: 'y' }];
  await assert.rejects(readExamples(source('CAUSAL_LM', { training: [{ text: 'x' }], validation })), {
    code: 'invalid_jsonl',
    param: 'validation_file',
    message:
      'the validation file must have text examples like the training file, but has prompt_completion examples',
  });
});

test("a fault of the base model's chat template is not the file's", async () => {
  const rewriting = loadTokenizer({
    tokenizerJson: readJson('tokenizer.json'),
    tokenizerConfig: readJson('tokenizer_config.json'),
    chatTemplate: '{{ messages | length }}{{ messages[-1].content }}',
  });
  const messages = [
    { role: 'user', content: 'x' },
    { role: 'assistant', content: 'y' },
  ];
  await assert.rejects(
    readExamples({ ...source('CAUSAL_LM', { training: [{ messages }] }), tokenizer: rewriting }),
    { code: 'unsupported_chat_template', param: 'model' },
  );
});

test('lines of weight 0 are counted and left out; a file of only such lines has no examples', async () => {
  const files = { training: [{ text: 'one' }, { text: 'two', weight: 0 }], validation: [{ text: 'x' }] };
  const { training_file, counts } = await read(source('CAUSAL_LM', files));
  assert.deepEqual(
    training_file.map(({ line }) => line),
    [1],
  );
  assert.deepEqual([counts.training_file.zero_weight, counts.validation_file.zero_weight], [1, undefined]);
  for (const [file, lines] of Object.entries({ training_file: 'training', validation_file: 'validation' }))
    await assert.rejects(
      read(source('CAUSAL_LM', { ...files, [lines]: [{ text: 'one', weight: 0 }] })),
      (error: GraftError) =>
        error.code === 'example_empty' &&
        error.param === file &&
        /every example has "weight" 0/.test(error.message),
    );
});

test('the conversations of all files share a budget of template steps, by the bytes of the files', async () => {
  const messages = [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b' },
  ];
  const files = {
    tokenizerJson: readJson('tokenizer.json'),
    tokenizerConfig: readJson('tokenizer_config.json'),
    chatTemplate: null,
  };
  // Each conversation is within its own budget.
  const costly = '{% for i in range(60000) %}{% endfor %}{% for m in messages %}{{ m.content }}{% endfor %}';
  const from = source('CAUSAL_LM', { training: Array(100).fill({ messages }) });
  const of = (template: string, templateSteps: number) => {
    const tokenizer = loadTokenizerWith(files, template);
    return readExamples({ ...from, tokenizer, templateSteps });
  };
  assert.equal((await of(costly.replace('60000', '9'), 0)).counts.training_file.examples, 100);
  assert.equal((await of(costly, 100_000_000)).counts.training_file.examples, 100);
  await assert.rejects(of(costly, 0), (error: GraftError) => {
    assert.deepEqual(
      [error.code, error.param, error.fault],
      ['chat_template_error', 'training.chat_template', 'user'],
    );
    assert.match(
      error.message,
      /takes more than \d+ steps for files of \d+ bytes, the limit; use a simpler template/,
    );
    return true;
  });
});
