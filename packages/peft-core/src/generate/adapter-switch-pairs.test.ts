/** An encoder-decoder that stays loaded while its adapters change; adapter-switch.test.ts has the decoders. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { type BaseModel, openBaseModel } from '../files.ts';
import { scoreTexts } from '../index.ts';
import { architectureFor } from '../models/registry.ts';
import { tinyFamilies } from '../testing/tiny-families.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { trainAdapter, trainOptions } from '../testing/train-adapter.ts';
import { AdapterSwitch } from './adapter-switch.ts';
import { CachedSequence } from './cached-sequence.ts';

const CONTEXT = 48;
const adapters: Record<string, Record<string, unknown>> = {
  lora: { peft_type: 'LORA', r: 2, target_modules: ['q', 'wo'] },
  'another lora of that shape': { peft_type: 'LORA', r: 2, target_modules: ['q', 'wo'] },
  ia3: { peft_type: 'IA3' },
  norms: { peft_type: 'LN_TUNING', target_modules: ['layer_norm'] },
  tokens: { peft_type: 'TRAINABLE_TOKENS', token_indices: [48, 49, 58] },
  selective: { peft_type: 'SELECTIVE', kinds: ['norm', 'head'] },
  bottleneck: { peft_type: 'BOTTLENECK', preset: 'double_seq_bn', reduction_factor: 4, cross_adapter: true },
  prompt: { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 3 },
  encoder: { peft_type: 'P_TUNING', num_virtual_tokens: 5 },
  prefix: { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 4 },
};
const names = Object.keys(adapters);

let root: string;
let base: BaseModel;
/** How often the base's weights were read. */
let loads = 0;
const folderOf = (name: string | null) => (name === null ? null : path.join(root, name));

before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-switch-'));
  await writeTinyModel(path.join(root, 'model'), tinyFamilies.t5);
  const opened = await openBaseModel(path.join(root, 'model'));
  const { tensors } = opened;
  base = {
    ...opened,
    tensors: {
      names: () => tensors.names(),
      has: (name) => tensors.has(name),
      info: (name) => tensors.info(name),
      readBfloat16: (name) => tensors.readBfloat16(name),
      readFloat32: (name) => {
        if (name === 'shared.weight') loads++;
        return tensors.readFloat32(name);
      },
    },
  };
  const trainingFile = path.join(root, 'train.jsonl');
  const lines = Array.from({ length: 4 }, (_, i) => JSON.stringify({ text: `${i}:`, target: `${i % 2}` }));
  await writeFile(trainingFile, lines.join('\n'));
  for (const [seed, name] of names.entries())
    await trainAdapter(
      trainOptions({
        base,
        trainingFile,
        exampleCount: lines.length,
        peft: { ...adapters[name], task_type: 'SEQ_2_SEQ_LM' },
        training: { learning_rate: 0.05, max_steps: 3, seed },
        outputDir: folderOf(name)!,
      }),
    );
});
after(async () => {
  await base.close();
  await rm(root, { recursive: true });
});

const ids = Array.from({ length: 20 }, (_, i) => (i * 37 + 11) % 256);
const labels = Array.from({ length: 15 }, (_, i) => (i * 53 + 48) % 256);

async function scored(adapterDir: string | null): Promise<number[]> {
  for await (const score of scoreTexts({ base, adapterDir, input: [{ input_ids: ids, labels }] }))
    if ('logprobs' in score) return score.logprobs;
  throw new Error('no score');
}

function logProbability(logits: Float32Array, id: number): number {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  return logits[id]! - largest - Math.log(logits.reduce((sum, x) => sum + Math.exp(x - largest), 0));
}

test('every adapter answers as it scores, in any order, on a base that is loaded once', async () => {
  const turns = [null, ...names, null, 'prefix', 'lora', null, 'prefix', 'prompt', null];
  const expected = new Map<string | null, number[]>();
  for (const name of new Set(turns)) expected.set(name, await scored(folderOf(name)));
  for (const name of names)
    assert.ok(
      expected.get(name)!.some((x, i) => Math.abs(x - expected.get(null)![i]!) > 1e-3),
      `${name} does nothing`,
    );

  loads = 0;
  const architecture = architectureFor(base.modelType, base.config);
  const models = new AdapterSwitch(base, architecture, CONTEXT);
  for (const name of turns) {
    const model = await models.use(folderOf(name));
    const virtual = Array.from(
      { length: model.model.attachment?.virtualTokens ?? 0 },
      (_, i) => architecture.vocabularySize + i,
    );
    model.read([...virtual, ...ids]);
    const sequence = new CachedSequence(model, CONTEXT);
    const wanted = expected.get(name)!;
    const given = [architecture.decoderStart!, ...labels.slice(0, -1)];
    const found = given.map((id, i) => logProbability(sequence.append([id]), labels[i]!));
    const differences = found.map((one, i) => Math.abs(one - wanted[i]!));
    assert.equal(found.length, wanted.length);
    assert.ok(Math.max(...differences) < 1e-4, `${name}: differs by ${Math.max(...differences)}`);
  }
  models.close();
  assert.equal(loads, 1);
});
