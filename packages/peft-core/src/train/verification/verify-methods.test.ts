/** Published adapters reproduce the live model's loss, also with files in another form than was trained or another base storage type. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import type { TrainingOptions } from '../../config/index.ts';
import { openBaseModel } from '../../files.ts';
import { tinyFamilies } from '../../testing/tiny-families.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { trainAdapter, trainOptions } from '../../testing/train-adapter.ts';
import { verifyAdapter } from './verify-adapter.ts';

interface Case {
  peft: Record<string, unknown>;
  training?: TrainingOptions;
  model?: keyof typeof tinyFamilies;
}
const lora = { peft_type: 'LORA', r: 4, target_modules: 'all-linear' };
const pairs = { task_type: 'SEQ_2_SEQ_LM' };
const cases: Record<string, Case> = {
  'P_TUNING, whose encoder the files leave out': {
    peft: { peft_type: 'P_TUNING', num_virtual_tokens: 4, encoder_hidden_size: 8 },
  },
  'P_TUNING by an LSTM': {
    peft: { peft_type: 'P_TUNING', num_virtual_tokens: 4, encoder_reparameterization_type: 'LSTM' },
  },
  'PREFIX_TUNING, projected': {
    peft: { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 4, prefix_projection: true },
  },
  BOTTLENECK: { peft: { peft_type: 'BOTTLENECK', preset: 'double_seq_bn', reduction_factor: 4 } },
  'LORA on nf4': { peft: lora, training: { base_dtype: 'nf4' } },
  'LORA on int8': { peft: lora, training: { base_dtype: 'int8' } },
  'BOTTLENECK on nf4': {
    peft: { peft_type: 'BOTTLENECK', preset: 'seq_bn', reduction_factor: 4 },
    training: { base_dtype: 'nf4' },
  },
  'LORA on T5': { peft: { ...lora, ...pairs }, model: 't5' },
  'PREFIX_TUNING, projected, on T5': {
    peft: { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 4, prefix_projection: true, ...pairs },
    model: 't5',
  },
  'LORA on an int8 T5': { peft: { ...lora, ...pairs }, training: { base_dtype: 'int8' }, model: 't5' },
};

let root: string;
const at = (name: string) => path.join(root, name);

before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-verify-methods-'));
  await writeTinyModel(at('llama'));
  await writeTinyModel(at('t5'), tinyFamilies.t5);
  const write = (name: string, line: (i: number) => object) =>
    writeFile(at(name), Array.from({ length: 16 }, (_, i) => JSON.stringify(line(i))).join('\n'));
  await write('llama.jsonl', (i) => ({ prompt: `${i}:`, completion: ` ${i % 2 ? 'odd' : 'even'}` }));
  await write('t5.jsonl', (i) => ({ text: `${i}:`, target: i % 2 ? 'odd' : 'even' }));
});
after(() => rm(root, { recursive: true }));

for (const [name, { peft, training, model = 'llama' }] of Object.entries(cases)) {
  test(`${name}: the files give the live model's loss, and not the base's`, async () => {
    const base = await openBaseModel(at(model));
    const options = trainOptions({
      base,
      trainingFile: at(`${model}.jsonl`),
      exampleCount: 16,
      peft,
      training: { max_steps: 6, batch_size: 4, learning_rate: 0.02, precision: 'fp32', ...training },
      outputDir: at(name.replaceAll(/\W+/g, '-')),
    });
    const { done } = await trainAdapter({ ...options, verify: true });
    const { reloadedLoss, baseLoss } = await verifyAdapter({ ...options, adapterDir: options.outputDir });
    await base.close();
    assert.ok(
      Math.abs(reloadedLoss - done.verification!.loss) < 1e-5,
      `${reloadedLoss}, ${done.verification!.loss}`,
    );
    assert.ok(Math.abs(baseLoss - reloadedLoss) > 1e-3);
  });
}
