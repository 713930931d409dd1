import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { openBaseModel } from '../../files.ts';
import { tinyFamilies } from '../../testing/tiny-families.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { trainOptions, trainRecords } from '../../testing/train-adapter.ts';
import { effectivePrecision, threadCount } from '../precision.ts';
import type { Sharing } from '../reports.ts';

let root: string;

before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-sharing-'));
});
after(async () => await rm(root, { recursive: true }));

const lora = { peft_type: 'LORA', r: 4, target_modules: 'all-linear' };
/** The same prompt of 10 tokens (one per byte) with completions of one token and the end token. */
const prompts = Array.from({ length: 8 }, (_, i) => ({ prompt: 'What is it', completion: `${i}` }));

async function sharingOfRun({
  model = {},
  peft = lora,
  lines = prompts as object[],
  batch_size = 4,
  kernels,
  sharesBeginnings,
}: {
  model?: Record<string, unknown>;
  peft?: Record<string, unknown>;
  lines?: object[];
  batch_size?: number;
  kernels?: 'stock';
  sharesBeginnings?: false;
}): Promise<Sharing> {
  const folder = await mkdtemp(path.join(root, 'model-'));
  await writeTinyModel(folder, model);
  const trainingFile = path.join(folder, 'train.jsonl');
  await writeFile(trainingFile, lines.map((line) => JSON.stringify(line)).join('\n'));
  const base = await openBaseModel(folder);
  try {
    const options = trainOptions({
      base,
      trainingFile,
      exampleCount: lines.length,
      peft,
      training: { n_epochs: 1, batch_size },
      outputDir: path.join(folder, 'adapter'),
    });
    const precision = effectivePrecision(options.training.precision);
    const requirements = kernels && { precision, threads: threadCount(), device: 'cpu' as const, kernels };
    const [start] = await trainRecords(
      {
        ...options,
        ...(requirements && { requirements }),
        ...(sharesBeginnings === false && { sharesBeginnings }),
      },
      () => true,
    );
    assert.ok(start?.type === 'start');
    return start.sharing;
  } finally {
    await base.close();
  }
}

test('prefixes that a batch has in common are computed once, and the saving is reported', async () => {
  for (const kernels of [{}, { kernels: 'stock' } as const]) {
    const { savedFraction, message } = await sharingOfRun(kernels);
    // Each of four sequences has 11 positions without the end; the nine before the first label are computed once.
    assert.equal(savedFraction, (3 * 9) / (4 * 11));
    assert.equal(
      message,
      'What the examples of a batch begin with in common is computed once, which saves 7 of 11 tokens a sequence.',
    );
  }
});

test('sequences that begin otherwise, or stand alone in their batch, share nothing', async () => {
  const tooLittle = /^What the examples of a batch begin with in common would be computed once, but/;
  for (const given of [
    { batch_size: 1 },
    { lines: prompts.map((line, i) => ({ ...line, prompt: `${i}` })) },
  ]) {
    const { savedFraction, message } = await sharingOfRun(given);
    assert.equal(savedFraction, 0);
    assert.match(message, tooLittle);
  }
});

const bottleneck = { peft_type: 'BOTTLENECK', reduction_factor: 8 };
const pairs = Array.from({ length: 8 }, (_, i) => ({ anchor: `What is it ${i}`, positive: `It is ${i}` }));

const unshared: Record<string, { given: Parameters<typeof sharingOfRun>[0]; why: RegExp }> = {
  'dropout of LoRA': {
    given: { peft: { ...lora, lora_dropout: 0.1 } },
    why: /lora_dropout 0\.1 draws for each example by itself/,
  },
  'dropout of bottlenecks': {
    given: { peft: { ...bottleneck, dropout: 0.2 } },
    why: /: dropout 0\.2 draws for each example by itself/,
  },
  'states of recurrent layers': {
    given: { model: tinyFamilies.qwen3_5_text },
    why: /layers with a state carry it through each example/,
  },
  'dropout of the base model': {
    given: { model: { attention_dropout: 0.1 } },
    why: /the dropout of the base model draws/,
  },
  'much that is not shared, without kernels': {
    given: {
      kernels: 'stock',
      batch_size: 16,
      lines: Array.from({ length: 16 }, (_, i) => ({
        prompt: `So ${i}${' and on'.repeat(20)}`,
        completion: '.',
      })),
    },
    why: /it is too little for operations without kernels/,
  },
  'a caller who does without': { given: { sharesBeginnings: false }, why: /it was asked not to be/ },
  'an encoder': {
    given: { model: tinyFamilies.bert, peft: { ...lora, task_type: 'FEATURE_EXTRACTION' }, lines: pairs },
    why: /each token sees those after it, too/,
  },
  'an example of several texts': {
    given: { peft: { ...lora, task_type: 'FEATURE_EXTRACTION' }, lines: pairs },
    why: /an example is several texts/,
  },
};

for (const [name, { given, why }] of Object.entries(unshared)) {
  test(`nothing is shared, and the reason is reported: ${name}`, async () => {
    const { savedFraction, message } = await sharingOfRun(given);
    assert.equal(savedFraction, 0);
    assert.match(message, /^What the examples of a batch begin with in common is not shared: .*\.$/);
    assert.match(message, why);
  });
}

test('bottlenecks without dropout share', async () => {
  assert.ok((await sharingOfRun({ peft: bottleneck })).savedFraction > 0);
});
