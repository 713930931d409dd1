/** Versions whose updates have several ranks or scales, for runtimes that read one of each from adapter_config.json. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { readAllTensors, writeSafetensors } from '@graft/peft-core/files';
import { writeTinyModel } from '@graft/peft-core/testing';
import type { AdapterVersion } from '../../adapters/adapter.ts';
import type { Services } from '../../services.ts';
import { createTestTeam } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { addTarget, publishVersion, quick, tag, untilTarget } from '../testing/deployed-adapter.ts';
import type { RuntimeServer } from '../testing/runtime-server.ts';
import { openSglangServer } from '../testing/sglang-server.ts';
import { openVllmServer } from '../testing/vllm-server.ts';
import { startDeploySender } from './deploy-sender.ts';

let folder: string;
let services: Services;
let sender: { close(): Promise<void> };
const servers: RuntimeServer[] = [];

before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'graft-test-padded-'));
  await writeTinyModel(path.join(folder, 'tiny'));
  await writeFile(path.join(folder, 'models.json'), JSON.stringify({ tiny: { folder: 'tiny' } }));
  const env = {
    GRAFT_BASE_MODELS: path.join(folder, 'models.json'),
    GRAFT_DEPLOY_ALLOW: '*=127.0.0.1:*',
    GRAFT_DEPLOY_FOLDER: path.join(folder, 'deployed'),
  };
  services = await openTestServices({ env });
  sender = startDeploySender(services, quick);
});
after(async () => {
  await sender?.close();
  for (const server of servers) await server.close();
  await services?.close();
  await rm(folder, { recursive: true, force: true });
});

/** Updated modules of `writeTinyModel`, with the rank and scale that PEFT computes from `patterns`. */
const modules = [
  { name: 'model.layers.0.self_attn.q_proj', width: 32, out: 32, rank: 3, scale: 5 / 3 },
  { name: 'model.layers.0.self_attn.v_proj', width: 32, out: 16, rank: 12, scale: 5 / 12 },
  { name: 'model.layers.1.self_attn.q_proj', width: 32, out: 32, rank: 3, scale: 2 },
  { name: 'model.layers.1.self_attn.v_proj', width: 32, out: 16, rank: 12, scale: 5 / 12 },
];
const patterns = {
  r: 12,
  lora_alpha: 5,
  target_modules: ['q_proj', 'v_proj'],
  rank_pattern: { q_proj: 3 },
  alpha_pattern: { 'layers.1.self_attn.q_proj': 6 },
};

const keysOf = (name: string) => ({
  a: `base_model.model.${name}.lora_A.weight`,
  b: `base_model.model.${name}.lora_B.weight`,
});
const values = (length: number, seed: number) =>
  Float32Array.from({ length }, (_, i) => Math.sin(1 + i + 17 * seed));
const weightsOf = (rankOf: (at: number) => number) =>
  modules.flatMap(({ name, width, out }, at) => {
    const { a, b } = keysOf(name);
    const rank = rankOf(at);
    return [
      { name: a, shape: [rank, width], data: values(rank * width, at) },
      { name: b, shape: [out, rank], data: values(out * rank, at + 100) },
    ];
  });

/** B A, row by row. */
function product(a: Float32Array, b: Float32Array, { width, out }: { width: number; out: number }): number[] {
  const rank = a.length / width;
  return Array.from({ length: out * width }, (_, at) => {
    const [row, column] = [Math.floor(at / width), at % width];
    let sum = 0;
    for (let k = 0; k < rank; k++) sum += b[row * rank + k]! * a[k * width + column]!;
    return sum;
  });
}

/** As both runtimes read a folder: one r and lora_alpha for all modules, and the sizes of the tensors. */
async function servedUpdates(served: string) {
  const config = JSON.parse(await readFile(path.join(served, 'adapter_config.json'), 'utf8'));
  const tensors = await readAllTensors(path.join(served, 'adapter_model.safetensors'));
  const updates = modules.map((module) => {
    const { a, b } = keysOf(module.name);
    assert.deepEqual(tensors.get(a)!.shape, [config.r, module.width]);
    assert.deepEqual(tensors.get(b)!.shape, [module.out, config.r]);
    const factor = config.lora_alpha / (config.use_rslora ? Math.sqrt(config.r) : config.r);
    return product(tensors.get(a)!.data, tensors.get(b)!.data, module).map((value) => factor * value);
  });
  return { config, updates };
}

async function deploy(runtime: 'vllm' | 'sglang', version: AdapterVersion) {
  const server = await (runtime === 'vllm' ? openVllmServer() : openSglangServer());
  servers.push(server);
  const target = await addTarget(services, version, { runtime, url: server.url });
  await tag(services, version);
  const settled = await untilTarget(
    services,
    target,
    ({ state }) => state === 'deployed' || state === 'failing',
  );
  return { server, settled, served: server.loaded.get('support-v1') };
}

function assertEqualUpdates(actual: number[][], expected: number[][]): void {
  for (const [at, update] of expected.entries())
    for (const [i, value] of update.entries())
      assert.ok(Math.abs(actual[at]![i]! - value) <= 1e-5 * Math.max(1, Math.abs(value)), modules[at]!.name);
}

for (const runtime of ['vllm', 'sglang'] as const)
  test(`${runtime} gets several ranks and scales as one, with the same updates`, async () => {
    const weights = weightsOf((at) => modules[at]!.rank);
    const version = await publishVersion(
      services,
      await createTestTeam(services),
      patterns,
      async (file) => await writeSafetensors(file, weights),
    );
    const { settled, served } = await deploy(runtime, version);
    assert.equal(settled.reason, null);
    const { config, updates } = await servedUpdates(served!);
    // The largest rank of the adapter, so that no larger limit of the runtime is needed.
    assert.deepEqual([config.r, config.rank_pattern, config.alpha_pattern], [12, {}, {}]);
    assert.deepEqual((await readdir(served!)).sort(), ['adapter_config.json', 'adapter_model.safetensors']);
    const expected = modules.map((module, at) =>
      product(weights[2 * at]!.data, weights[2 * at + 1]!.data, module).map((each) => module.scale * each),
    );
    assertEqualUpdates(updates, expected);
  });

test('SGLang gets the scale of rsLoRA as lora_alpha; vLLM reads rsLoRA itself, and gets the same bytes', async () => {
  const weights = weightsOf(() => 12);
  const expected = modules.map((module, at) =>
    product(weights[2 * at]!.data, weights[2 * at + 1]!.data, module).map(
      (each) => (5 / Math.sqrt(12)) * each,
    ),
  );
  for (const runtime of ['vllm', 'sglang'] as const) {
    const version = await publishVersion(
      services,
      await createTestTeam(services),
      { r: 12, lora_alpha: 5, target_modules: ['q_proj', 'v_proj'], use_rslora: true },
      async (file) => await writeSafetensors(file, weights),
    );
    const { served } = await deploy(runtime, version);
    const { config, updates } = await servedUpdates(served!);
    assert.equal(config.use_rslora ?? false, runtime === 'vllm');
    assertEqualUpdates(updates, expected);
  }
});

test('a base model that is gone is a reason, and nothing is loaded', async () => {
  const version = await publishVersion(services, await createTestTeam(services), patterns);
  await services.sql.query('UPDATE adapters SET base_model = $1 WHERE id = $2', ['gone', version.adapterId]);
  const { settled, server } = await deploy('vllm', { ...version, baseModel: 'gone' });
  assert.match(settled.reason!, /^Version 1 needs one rank and scale .* base model gone.* ask its operator/);
  assert.deepEqual([server.loaded.size, server.log], [0, []]);
});
