/** A merged model in several shards with an index is read by transformers, as the model in one file: scripts/golden/references/exports.py. */
import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { exportFolder } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { writeTinyModel } from '@graft/peft-core/testing';
import { runPythonJson } from '../../../scripts/golden/environment/run-python.ts';
import { writeRandomAdapter } from '../../llama-cpp/random-models.ts';
import { graftOutputs, largestDifference } from '../fixtures/graft-outputs.ts';
import { scratchFolder } from '../fixtures/scratch-folder.ts';

const folder = scratchFolder('shards');
const [model, adapter] = [join(folder, 'model'), join(folder, 'adapter')];
/** The least that the option takes: the model, of about 4 MB, has five shards. */
const largest = 1_000_000;
// A separate head, so that the last shard has more than norms.
await writeTinyModel(model, {
  hidden_size: 128,
  intermediate_size: 512,
  head_dim: 32,
  num_hidden_layers: 4,
  tie_word_embeddings: false,
});
const base = await openBaseModel(model);
after(() => base.close());
await writeRandomAdapter(adapter, {
  config: base.config,
  peft: { peft_type: 'LORA', r: 4, lora_alpha: 8, target_modules: 'all-linear' },
  deviation: 0.05,
});

async function exported(name: string, options: Record<string, unknown>): Promise<string> {
  const target = join(folder, name);
  await exportFolder('merged', { base, adapterDir: adapter, folder: target, options, name });
  return target;
}

const whole = await exported('whole', { dtype: 'float32' });
const sharded = await exported('sharded', { dtype: 'float32', max_shard_bytes: largest });
const inputs = [
  [256, 71, 114, 97, 102, 116],
  [256, 97, 32, 116, 114, 101, 101, 32, 103, 114, 111, 119, 115],
];

test('the shards are numbered, within the limit, and the index names each tensor once', async () => {
  const names = (await readdir(sharded)).filter((name) => name.endsWith('.safetensors')).sort();
  assert.ok(names.length >= 4, names.join());
  const count = String(names.length).padStart(5, '0');
  for (const [i, name] of names.entries()) {
    assert.equal(name, `model-${String(i + 1).padStart(5, '0')}-of-${count}.safetensors`);
    const { size } = await stat(join(sharded, name));
    // The limit is for the tensors; a header comes before them.
    assert.ok(size < largest + 10_000, `${name} has ${size} bytes`);
  }
  const index = JSON.parse(await readFile(join(sharded, 'model.safetensors.index.json'), 'utf8'));
  assert.deepEqual([...new Set(Object.values(index.weight_map))].sort(), names);
  const headers = await Promise.all(
    names.map(async (name) => {
      const bytes = await readFile(join(sharded, name));
      const header = bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString();
      return Object.entries(
        JSON.parse(header) as Record<string, { data_offsets?: [number, number] }>,
      ).flatMap(([tensor, { data_offsets: at }]) => (at ? { tensor, name, bytes: at[1] - at[0] } : []));
    }),
  );
  const tensors = headers.flat();
  assert.equal(new Set(tensors.map(({ tensor }) => tensor)).size, tensors.length);
  assert.deepEqual(Object.fromEntries(tensors.map(({ tensor, name }) => [tensor, name])), index.weight_map);
  assert.equal(
    index.metadata.total_size,
    tensors.reduce((sum, { bytes }) => sum + bytes, 0),
  );
});

test('transformers reads the shards as the one file, and both as merge_and_unload has them', async () => {
  interface Read {
    difference: number;
    missing: string[];
    unexpected: string[];
    logprobs: number[][];
  }
  const runs = [whole, sharded].map((exported) => ({ model, adapter, exported, inputs }));
  const [one, several] = (await runPythonJson<Read>('exports.py', [], { runs })) as [Read, Read];
  for (const { missing, unexpected, difference } of [one, several]) {
    assert.deepEqual([missing, unexpected], [[], []]);
    assert.ok(difference < 1e-5, `weights differ by ${difference}`);
  }
  assert.deepEqual(several.logprobs, one.logprobs);
  const [adapted, plain] = [
    await graftOutputs(model, adapter, inputs),
    await graftOutputs(model, null, inputs),
  ];
  assert.ok(largestDifference(adapted, plain) > 0.05, 'the adapter changes too little');
  assert.ok(largestDifference(several.logprobs, adapted) < 1e-4);
});
