import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { Combination } from '@graft/peft-core/config';
import { combineAdapters, type HostTensor, readAdapter, writeSafetensors } from '@graft/peft-core/files';
import { droppingRandom } from '../../../packages/peft-core/src/tuners/lora/combine/combine.ts';
import { runPythonJson } from '../../../scripts/golden/environment/run-python.ts';
import { scratchFolder } from '../fixtures/scratch-folder.ts';

interface Case {
  name: string;
  adapters: string[];
  weights: number[];
  options: Combination;
}

const targets = ['q_proj', 'v_proj', 'down_proj'];
const adapters = {
  first: { r: 4, lora_alpha: 8, target_modules: targets },
  second: { r: 4, lora_alpha: 4, target_modules: targets },
  third: { r: 4, lora_alpha: 6, target_modules: targets },
  wide: { r: 6, lora_alpha: 3, target_modules: targets, rank_pattern: { v_proj: 2 } },
  table: { r: 4, lora_alpha: 4, target_modules: ['embed_tokens', 'lm_head'] },
  other_table: { r: 4, lora_alpha: 2, target_modules: ['embed_tokens', 'lm_head'] },
};

const three = { adapters: ['first', 'second', 'third'], weights: [0.5, 0.8, -0.3] };
const cases: Case[] = [
  { name: 'linear', ...three, options: { combination_type: 'linear' } },
  { name: 'cat', ...three, options: { combination_type: 'cat' } },
  { name: 'svd', ...three, options: { combination_type: 'svd' } },
  { name: 'svd of rank 7', ...three, options: { combination_type: 'svd', svd_rank: 7 } },
  { name: 'svd of the sum', ...three, options: { combination_type: 'svd', svd_rank: 12 } },
  { name: 'ties', ...three, options: { combination_type: 'ties', density: 0.4 } },
  {
    name: 'ties by frequency',
    ...three,
    options: { combination_type: 'ties', density: 0.7, majority_sign_method: 'frequency' },
  },
  { name: 'ties of everything', ...three, options: { combination_type: 'ties', density: 1 } },
  { name: 'magnitude_prune', ...three, options: { combination_type: 'magnitude_prune', density: 0.3 } },
  { name: 'dare_linear', ...three, options: { combination_type: 'dare_linear', density: 0.5, seed: 3 } },
  { name: 'dare_ties', ...three, options: { combination_type: 'dare_ties', density: 0.6 } },
  {
    name: 'cat of several ranks',
    adapters: ['first', 'wide'],
    weights: [1, 0.5],
    options: { combination_type: 'cat' },
  },
  {
    name: 'svd of several ranks',
    adapters: ['wide', 'first'],
    weights: [1, 0.5],
    options: { combination_type: 'svd' },
  },
  ...(['linear', 'cat', 'svd'] as const).map((combination_type) => ({
    name: `${combination_type} of embeddings`,
    adapters: ['table', 'other_table'],
    weights: [0.7, 0.6],
    options: { combination_type },
  })),
];

const folder = scratchFolder('combinations');
const theirs = (name: string) => join(folder, 'theirs', name);
const ours = (name: string) => join(folder, 'ours', name);

before(async () => {
  const plan = { adapters, cases: [] as unknown[] };
  await runPythonJson('combinations.py', ['make', folder], plan);
  for (const each of cases) {
    const { seed: _, ...options } = each.options;
    plan.cases.push({ ...each, options, masks: await masksOf(each) });
  }
  await runPythonJson('combinations.py', ['combine', folder], plan);
  const config = JSON.parse(await readFile(join(folder, 'model/config.json'), 'utf8'));
  for (const { name, adapters: names, weights, options } of cases)
    await combineAdapters({
      sources: names.map((each, i) => ({
        folder: join(folder, 'adapters', each),
        name: each,
        weight: weights[i]!,
      })),
      output: ours(name),
      base: { config, digest: null, name: 'tiny' },
      options,
    });
});

/** Graft's random choice, as masks in the order in which PEFT draws: by module, then A and B, then adapter. */
async function masksOf({ name, adapters: names, options }: Case): Promise<string | null> {
  if (!options.combination_type.startsWith('dare')) return null;
  const { tensors } = await readAdapter(join(folder, 'adapters', names[0]!));
  const masks: { name: string; shape: number[]; data: Float32Array }[] = [];
  for (const [index, module] of modulesInOrder(tensors).entries())
    for (const matrix of ['a', 'b'] as const)
      for (const adapter of names.keys()) {
        const { shape, data } = tensors.get(`${module}.lora_${matrix.toUpperCase()}.weight`)!;
        const random = droppingRandom(options, index, matrix, adapter);
        const mask = data.map(() => (random.uniform() < options.density! ? 1 : 0));
        masks.push({ name: String(masks.length), shape, data: mask });
      }
  const file = join(folder, `${name}.safetensors`);
  await writeSafetensors(file, masks);
  return file;
}

/** Adapted modules as the model has them: layer by layer, q before v before down. */
function modulesInOrder(tensors: ReadonlyMap<string, HostTensor>): string[] {
  const modules = [...tensors.keys()]
    .filter((key) => key.includes('lora_A'))
    .map((key) => key.split('.lora_')[0]!);
  const place = (module: string) => targets.findIndex((target) => module.endsWith(target));
  const layer = (module: string) => Number(/layers\.(\d+)\./.exec(module)![1]);
  return modules.sort((a, b) => layer(a) - layer(b) || place(a) - place(b));
}

/** B A of each module. */
function products(tensors: ReadonlyMap<string, HostTensor>): Map<string, Float64Array> {
  const found = new Map<string, Float64Array>();
  for (const [key, a] of tensors) {
    if (!/lora_(embedding_)?A/.test(key)) continue;
    const b = tensors.get(key.replace('A', 'B').replace('_A', '_B'))!;
    const [rank, width] = a.shape as [number, number];
    const [out] = b.shape as [number];
    const product = new Float64Array(out * width);
    for (let i = 0; i < out; i++)
      for (let k = 0; k < rank; k++)
        for (let j = 0; j < width; j++)
          product[i * width + j]! += b.data[i * rank + k]! * a.data[k * width + j]!;
    found.set(key, product);
  }
  return found;
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return largest;
}

for (const { name, options } of cases)
  test(`${name}: the same numbers as PEFT's add_weighted_adapter, within 1e-5`, async () => {
    const [mine, expected] = [await readAdapter(ours(name)), await readAdapter(theirs(name))];
    assert.deepEqual([...mine.tensors.keys()].sort(), [...expected.tensors.keys()].sort());
    if (options.combination_type === 'svd') {
      // The factors of a singular value decomposition are unique only as a product.
      const wanted = products(expected.tensors);
      for (const [key, product] of products(mine.tensors))
        assert.ok(largestDifference(product, wanted.get(key)!) < 1e-5, key);
      return;
    }
    for (const [key, { shape, data }] of expected.tensors) {
      assert.deepEqual(mine.tensors.get(key)!.shape, shape, key);
      assert.ok(largestDifference(mine.tensors.get(key)!.data, data) < 1e-5, key);
    }
  });

test('PEFT loads the files, and computes with them what it computes with the adapter that it combined', async () => {
  const plan = { cases };
  const compared = await runPythonJson<{ name: string; difference: number; effect: number }>(
    'combinations.py',
    ['compare', folder],
    plan,
  );
  assert.equal(compared.length, cases.length);
  for (const { name, difference, effect } of compared) {
    assert.ok(difference < 1e-5, `${name}: ${difference}`);
    assert.ok(effect > 1e-3, `${name}: ${effect}`);
  }
});
