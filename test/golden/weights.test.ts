/**
 * Weights of messages and examples: the losses of ten steps are the weighted means that torch computes over the targets of all
 * micro-batches, and so are the updates.
 */
import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ExampleFormat, writeExamples } from './fixtures/example-data.ts';
import { scratchFolder } from './fixtures/scratch-folder.ts';
import { tinyFixture } from './fixtures/tiny-fixture.ts';
import { compareTrainings, type TrainingCase } from './fixtures/training-comparison.ts';

const steps = 10;
const folder = scratchFolder('weights');
const fixture = await tinyFixture();

interface Line {
  messages?: { role: string; weight?: number }[];
  weight?: number;
  label?: number;
  labels?: number[];
}

/** Writes 24 examples of a format, and changes each line's weights: from 0.1 to 10, and the usual 1 where `weigh` leaves it. */
async function weighted(name: string, format: ExampleFormat, weigh: (line: Line, i: number) => void) {
  const file = join(folder, `${name}.jsonl`);
  await writeExamples(file, format, 24);
  const lines = (await readFile(file, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
  for (const [i, line] of lines.entries()) weigh(line, i);
  await writeFile(file, lines.map((line) => JSON.stringify(line)).join('\n'));
  return file;
}

const WEIGHTS = [0.1, 1, 3, 0.5, 10, 1, 0.25];
const byExample = (line: Line, i: number) => {
  if (i % 5 !== 4) line.weight = WEIGHTS[i % WEIGHTS.length]!;
};
const byMessage = ({ messages }: Line, i: number) => {
  const answers = messages!.filter(({ role }) => role === 'assistant');
  for (const [turn, answer] of answers.entries()) answer.weight = WEIGHTS[(3 * i + turn) % WEIGHTS.length]!;
};
/** The reference's heads have two classes. */
const twoClasses = (line: Line, i: number) => {
  byExample(line, i);
  const { label, labels } = line;
  if (label !== undefined) line.label = label % 2;
  if (labels) line.labels = labels.map((each) => Math.min(each, 1));
};

const lora = { r: 4, lora_alpha: 8, target_modules: ['q_proj', 'v_proj'] };
const common = { precision: 'fp32', max_steps: steps, n_epochs: 20, batch_size: 4, learning_rate: 3e-3 };
const classes = { ...lora, task_type: 'SEQ_CLS' };
const embeddings = { ...lora, task_type: 'FEATURE_EXTRACTION' };
const model = fixture.modelFolder('tied');
// Unless its config says otherwise, a llama drops a tenth of what its token classifier reads.
const words = join(folder, 'words-model');
await cp(model, words, { recursive: true });
const config = JSON.parse(await readFile(join(words, 'config.json'), 'utf8'));
await writeFile(join(words, 'config.json'), JSON.stringify({ ...config, classifier_dropout: 0 }));

const cases: TrainingCase[] = [
  {
    name: 'messages',
    model,
    trainingFile: await weighted('messages', 'chat', byMessage),
    config: lora,
    training: common,
  },
  {
    name: 'messages and examples, accumulated',
    model: fixture.modelFolder('untied'),
    trainingFile: await weighted('both', 'chat', (line, i) => {
      byMessage(line, i);
      byExample(line, i);
    }),
    config: lora,
    training: { ...common, batch_size: 2, gradient_accumulation_steps: 3, packing: false },
  },
  {
    name: 'prompts with completions',
    model,
    trainingFile: await weighted('prompts', 'prompt_completion', byExample),
    config: { ...lora, modules_to_save: ['lm_head'] },
    training: { ...common, gradient_accumulation_steps: 2 },
  },
  {
    name: 'classes',
    model,
    trainingFile: await weighted('classes', 'classification', twoClasses),
    config: classes,
    training: common,
  },
  {
    name: 'classes, with weights of classes and smoothing',
    model,
    trainingFile: await weighted('class-weights', 'classification', twoClasses),
    config: classes,
    training: { ...common, class_weights: [0.5, 3], label_smoothing_factor: 0.1 },
  },
  {
    name: 'words',
    model: words,
    trainingFile: await weighted('words', 'token_classification', twoClasses),
    config: { ...lora, task_type: 'TOKEN_CLS' },
    training: { ...common, class_weights: [0.5, 3] },
  },
  {
    name: 'several labels a text',
    model,
    trainingFile: await weighted('sets', 'classification', (line, i) => {
      byExample(line, i);
      line.labels = [0, 1].filter((label) => (i >> label) % 2 === 1);
      delete line.label;
    }),
    config: classes,
    training: common,
  },
  {
    name: 'pairs',
    model,
    trainingFile: await weighted('pairs', 'pairs', byExample),
    config: embeddings,
    training: common,
  },
  {
    name: 'pairs in mini-batches',
    model,
    trainingFile: await weighted('mini-pairs', 'pairs', byExample),
    config: embeddings,
    training: { ...common, batch_size: 6, mini_batch_size: 4 },
  },
  {
    name: 'scored pairs',
    model,
    trainingFile: await weighted('scored', 'scored_pairs', byExample),
    config: embeddings,
    training: common,
  },
];

for (const { name, graft, peft } of await compareTrainings(cases, folder)) {
  test(`${name}: ${steps} losses are torch's weighted means`, () => {
    assert.equal(peft.steps.length, steps);
    assert.equal(graft.steps.length, steps);
    for (const [i, expected] of peft.steps.entries()) {
      const actual = graft.steps[i]!;
      const where = `step ${i + 1}: ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`;
      assert.ok(Math.abs(actual.loss - expected.loss) < 1e-5, where);
      assert.ok(Math.abs(actual.grad_norm / expected.grad_norm - 1) < 1e-3, where);
    }
  });
}
