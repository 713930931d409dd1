import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { choosePeft } from '../../config/choose-peft.ts';
import { parsePeftConfig } from '../../config/peft-config.ts';
import { outlineOf } from '../../outlines/index.ts';
import { checkAgainstModel } from '../check.ts';
import { countOf } from '../file-tensors.ts';
import { methodOf } from '../methods.ts';
import type { LoraConfig } from './config.ts';
import { loraTargets } from './targets.ts';

const folder = path.join(import.meta.dirname, '../../../../../test/golden/published-configs');
const published = (file: string) => JSON.parse(readFileSync(path.join(folder, `${file}.json`), 'utf8'));
const configs = published('qwen3-moe');
const { config } = configs['Qwen/Qwen3-30B-A3B'] as { config: Record<string, unknown> };

function adapted(given: object, fields: object = {}) {
  const model = outlineOf({ ...config, ...fields }, 'CAUSAL_LM');
  const peft = parsePeftConfig(choosePeft({ peft_type: 'LORA', ...given })) as LoraConfig;
  const { targets, experts } = loraTargets(peft, model);
  const last = (name: string) => name.replace(/^.*\.\d+\./, '');
  const names = [...targets, ...experts].map(({ name }) => last(name));
  const files = methodOf(peft).fileTensors!(peft, model).filter(({ needless }) => !needless);
  return { names: [...new Set(names)], parameters: countOf(files) };
}

const attention = ['q_proj', 'k_proj', 'v_proj', 'o_proj'].map((name) => `self_attn.${name}`);

test('a job that leaves the modules to Graft adapts attention, and neither experts nor routers', () => {
  const { names, parameters } = adapted({});
  assert.deepEqual(names, attention);
  // For each of 48 layers r · (in + out): q 2048 and 4096, k and v 2048 and 512 each, o 4096 and 2048.
  assert.equal(parameters, 48 * 16 * (6144 + 2560 + 2560 + 6144));
  assert.deepEqual(adapted({ r: 4, target_modules: 'auto' }).names, attention);
});

test('"all-linear" by itself adapts routers and experts, too, as PEFT does', () => {
  const { names, parameters } = adapted({ r: 16, target_modules: 'all-linear' });
  assert.deepEqual(names, [...attention, 'mlp.gate', 'mlp.experts.gate_up_proj', 'mlp.experts.down_proj']);
  assert.ok(parameters > 9e8, `${parameters}`);
});

test('networks without experts are left out where PEFT takes their names for those of experts', () => {
  assert.deepEqual(adapted({}, { mlp_only_layers: [0] }).names, attention);
});

test('every published model takes what Graft chooses of each method that adapts matrices', () => {
  for (const file of ['qwen3-next', 'qwen3-5-moe', 'qwen3-5', 'qwen3-moe'])
    for (const [name, { config }] of Object.entries<{ config: Record<string, unknown> }>(published(file))) {
      for (const peft_type of ['LORA', 'MISS', 'OFT', 'HIRA', 'LOKR', 'LOHA', 'VERA'])
        assert.doesNotThrow(
          () => checkAgainstModel(parsePeftConfig(choosePeft({ peft_type })), config),
          `${name} × ${peft_type}`,
        );
      const all = parsePeftConfig({ peft_type: 'LORA', r: 16, target_modules: 'all-linear' });
      assert.doesNotThrow(() => checkAgainstModel(all, config), `${name}, all-linear`);
    }
});

test('a shared expert is left out beside attention', () => {
  const [{ config }] = Object.values<{ config: Record<string, unknown> }>(published('qwen3-next')) as [
    { config: Record<string, unknown> },
  ];
  const peft = parsePeftConfig(choosePeft({ peft_type: 'LORA' })) as LoraConfig;
  const { targets, experts } = loraTargets(peft, outlineOf(config, 'CAUSAL_LM'));
  assert.deepEqual(experts, []);
  assert.ok(targets.length > 0 && targets.every(({ name }) => !name.includes('.mlp.')));
});
