import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { parsePeftConfig, resolveTraining } from '../config/index.ts';
import { type BaseModel, openBaseModel } from '../files.ts';
import { scoreTexts, train } from '../index.ts';
import { architectureFor } from '../models/registry.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { AdapterSwitch } from './adapter-switch.ts';
import { CachedSequence } from './cached-sequence.ts';
import { openGenerator } from './generator.ts';

const CONTEXT = 48;
const adapters: Record<string, Record<string, unknown>> = {
  lora: { peft_type: 'LORA', r: 2, target_modules: ['q_proj'] },
  'another lora of that shape': { peft_type: 'LORA', r: 2, target_modules: ['q_proj'] },
  'a wider lora': {
    peft_type: 'LORA',
    r: 3,
    target_modules: ['q_proj', 'down_proj'],
    modules_to_save: ['norm'],
  },
  prompt: { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 3 },
  encoder: { peft_type: 'P_TUNING', num_virtual_tokens: 5 },
  prefix: { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 4 },
  'another prefix of that length': {
    peft_type: 'PREFIX_TUNING',
    num_virtual_tokens: 4,
    prefix_projection: true,
  },
  ia3: { peft_type: 'IA3' },
  norms: { peft_type: 'LN_TUNING' },
  tokens: { peft_type: 'TRAINABLE_TOKENS', token_indices: [48, 49, 58] },
  selective: { peft_type: 'SELECTIVE', kinds: ['norm', 'embedding', 'head'] },
  bottleneck: { peft_type: 'BOTTLENECK', preset: 'double_seq_bn', reduction_factor: 4 },
};
const names = Object.keys(adapters);

let root: string;
let base: BaseModel;
/** How often the base's weights were read. */
let loads = 0;
const folderOf = (name: string | null) => (name === null ? null : path.join(root, name));

before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-switch-'));
  await writeTinyModel(path.join(root, 'model'));
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
        if (name === 'model.embed_tokens.weight') loads++;
        return tensors.readFloat32(name);
      },
    },
  };
  const lines = Array.from({ length: 4 }, (_, i) =>
    JSON.stringify({ prompt: `${i}:`, completion: ` ${i % 2}` }),
  );
  await writeFile(path.join(root, 'train.jsonl'), lines.join('\n'));
  for (const [seed, name] of names.entries()) {
    const peft = parsePeftConfig(adapters[name]);
    const training = resolveTraining({
      peft,
      training: { learning_rate: 0.05, max_steps: 3, seed },
      exampleCount: 4,
    });
    const run = train({
      base,
      baseModelName: 'tiny',
      trainingFile: path.join(root, 'train.jsonl'),
      peft,
      training,
      outputDir: folderOf(name)!,
    });
    for await (const _ of run);
  }
});
after(async () => {
  await base.close();
  await rm(root, { recursive: true });
});

const ids = Array.from({ length: 40 }, (_, i) => (i * 37 + 11) % 256);

async function scored(adapterDir: string | null): Promise<number[]> {
  for await (const score of scoreTexts({ base, adapterDir, input: [{ input_ids: ids }] }))
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
    const sequence = new CachedSequence(model, CONTEXT);
    const first = 5;
    const logits = [sequence.append([...virtual, ...ids.slice(0, first)])];
    for (const id of ids.slice(first, -1)) logits.push(sequence.append([id]));
    const wanted = expected.get(name)!.slice(first - 1);
    const differences = logits.map((one, i) => Math.abs(logProbability(one, ids[first + i]!) - wanted[i]!));
    assert.equal(logits.length, wanted.length);
    assert.ok(Math.max(...differences) < 1e-4, `${name}: differs by ${Math.max(...differences)}`);
  }
  models.close();
  assert.equal(loads, 1);
});

test('an adapter that cannot be used leaves the others as they were', async () => {
  const generator = await openGenerator({ base, maxContext: CONTEXT });
  const answer = async () => {
    let text = '';
    for await (const next of generator.generate({ prompt: '1:', max_tokens: 6 })) text += next.text;
    return text;
  };
  await generator.useAdapter(folderOf('prefix'));
  const before = await answer();
  await assert.rejects(generator.useAdapter(path.join(root, 'nowhere')), { code: 'invalid_adapter' });
  assert.equal(await answer(), before);
  generator.close();
});

test("an adapter's own positions count towards the context", async () => {
  // The tiny tokenizer has a token for each byte.
  const generator = await openGenerator({ base, maxContext: CONTEXT });
  const ask = async (prompt: string, max_tokens: number) => {
    for await (const _ of generator.generate({ prompt, max_tokens }));
  };
  for (const [name, leading] of [
    ['prompt', 3],
    ['prefix', 4],
  ] as const) {
    await generator.useAdapter(folderOf(name));
    await ask('x'.repeat(CONTEXT - leading - 1), 10);
    await assert.rejects(ask('x'.repeat(CONTEXT - leading), 1), {
      code: 'context_length_exceeded',
      message: new RegExp(`has ${CONTEXT - leading} tokens and the adapter ${leading} virtual ones`),
    });
  }
  await generator.useAdapter(null);
  await ask('x'.repeat(CONTEXT - 1), 1);
  generator.close();
});
