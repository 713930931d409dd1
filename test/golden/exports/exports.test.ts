/** Exported files mean to other libraries what the adapter means to PEFT: scripts/golden/references/exports.py and exports_mlx.py. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { exportFolder } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { runPythonJson } from '../../../scripts/golden/environment/run-python.ts';
import { largestDifference } from '../fixtures/graft-outputs.ts';
import { scratchFolder } from '../fixtures/scratch-folder.ts';
import { tinyFixture } from '../fixtures/tiny-fixture.ts';

const folder = scratchFolder('exports');
const { scores, modelFolder, adapterFolder } = await tinyFixture();

interface Exported {
  adapter: string;
  format: string;
  options: Record<string, unknown>;
  folder: string;
  notes: string[];
}

async function exported(
  adapter: string,
  format: string,
  options: Record<string, unknown> = {},
): Promise<Exported> {
  const target = join(folder, [adapter, format, ...Object.values(options)].join('-'));
  const base = await openBaseModel(modelFolder(scoreOf(adapter).model));
  try {
    const adapterDir = adapterFolder(adapter);
    const { files, notes } = await exportFolder(format, {
      base,
      adapterDir,
      folder: target,
      options,
      name: adapter,
    });
    assert.deepEqual(files.map(({ path }) => path).sort(), (await readdir(target)).sort());
    return { adapter, format, options, folder: target, notes };
  } finally {
    await base.close();
  }
}

const scoreOf = (adapter: string) => scores.find((score) => score.adapter === adapter)!;
const inputsOf = (adapter: string) => scoreOf(adapter).inputs.map(({ input_ids }) => input_ids);
const runOf = ({ adapter, folder }: Exported) => ({
  model: modelFolder(scoreOf(adapter).model),
  adapter: adapterFolder(adapter),
  exported: folder,
  inputs: inputsOf(adapter),
});
const differenceOf = ({ adapter }: Exported, logprobs: number[][]) =>
  largestDifference(
    logprobs,
    scoreOf(adapter).inputs.map((input) => input.logprobs),
  );

const adapters = scores.flatMap(({ adapter }) => adapter ?? []);
// These models are smaller than the smallest limit of a shard: shards.test.ts has several.
const merged: Exported[] = [];
for (const adapter of adapters) merged.push(await exported(adapter, 'merged', { dtype: 'float32' }));
const padded = [
  await exported('plain', 'peft', { pad_rank: true }),
  await exported('rslora', 'peft', { pad_rank: true }),
  await exported('patterns', 'peft', { pad_rank: true }),
  await exported('lm-head-saved', 'peft', { pad_rank: true }),
  await exported('patterns', 'peft'),
];

interface Read {
  difference: number;
  missing: string[];
  unexpected: string[];
  mismatch: object;
  ranks: number[];
  logprobs: number[][];
}

const read = await runPythonJson<Read>('exports.py', [], { runs: [...merged, ...padded].map(runOf) });

for (const [i, model] of merged.entries())
  test(`${model.adapter}: the merged weights are those of merge_and_unload`, () => {
    const { difference, missing, unexpected, logprobs } = read[i]!;
    assert.deepEqual([missing, unexpected], [[], []]);
    assert.ok(difference < 1e-5, `weights differ by ${difference}`);
    assert.ok(differenceOf(model, logprobs) < 1e-4);
  });

for (const [i, adapter] of padded.entries())
  test(`${adapter.folder.split('/').at(-1)}: PEFT reads the same function`, () => {
    const { mismatch, ranks, logprobs } = read[merged.length + i]!;
    assert.deepEqual(mismatch, { missing: [], unexpected: [], shapes: [], values: [] });
    assert.ok(differenceOf(adapter, logprobs) < 1e-4);
    if (adapter.options.pad_rank) assert.deepEqual(ranks, [8]);
    else assert.deepEqual(ranks, [2, 4, 6]);
  });

test('a padded adapter has one rank and alpha, and says what was changed', async () => {
  const [plain, rslora, patterns] = padded as [Exported, Exported, Exported];
  const configOf = async ({ folder }: Exported) =>
    JSON.parse(await readFile(join(folder, 'adapter_config.json'), 'utf8'));
  const config = await configOf(plain);
  assert.deepEqual([config.r, config.lora_alpha, config.use_rslora], [8, 16, false]);
  assert.match(plain.notes.join(), /Padded rank 4 to 8 with zeros; lora_alpha is 16/);
  assert.equal((await configOf(rslora)).use_rslora, false);
  const even = await configOf(patterns);
  assert.deepEqual([even.rank_pattern, even.alpha_pattern], [{}, {}]);
  assert.match(patterns.notes.join(), /another scale, which is now in their B/);
});

test('mlx-lm reads the adapters in its format', async () => {
  const names = ['plain', 'rslora', 'all-linear', 'regex', 'patterns', 'layers'];
  const folders: Exported[] = [];
  for (const name of names) folders.push(await exported(name, 'mlx'));
  const plan = { runs: folders.map((each) => ({ ...runOf(each), adapter: each.folder })) };
  const found = await runPythonJson<{ logprobs: number[][] }>('exports_mlx.py', [], plan, { library: 'mlx' });
  for (const [i, each] of folders.entries()) {
    const difference = differenceOf(each, found[i]!.logprobs);
    assert.ok(difference < 2e-3, `${each.adapter}: log-probabilities differ by ${difference}`);
  }
  const keysOf = async ({ folder }: Exported) =>
    JSON.parse(await readFile(join(folder, 'adapter_config.json'), 'utf8')).lora_parameters.keys;
  assert.deepEqual(await keysOf(folders[0]!), ['self_attn.q_proj', 'self_attn.v_proj']);
  assert.deepEqual(await keysOf(folders[5]!), [
    'model.layers.1.self_attn.q_proj',
    'model.layers.1.self_attn.v_proj',
  ]);
});
