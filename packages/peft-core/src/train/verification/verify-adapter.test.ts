import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { parsePeftConfig, resolveTraining } from '../../config/index.ts';
import { mergeAdapter } from '../../exports/merge-adapter.ts';
import { type BaseModel, openBaseModel, readAdapter, writeAdapter } from '../../files.ts';
import { elementCount } from '../../tensors/tensor-source.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { train } from '../loop.ts';
import type { TrainRecord } from '../records.ts';
import { measureServed, verifyAdapter } from './verify-adapter.ts';

let root: string;
let base: BaseModel;
const at = (name: string) => path.join(root, name);

before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-verify-'));
  await writeTinyModel(at('model'));
  base = await openBaseModel(at('model'));
  const line = (i: number) => JSON.stringify({ prompt: `${i}:`, completion: ` ${i % 2 ? 'odd' : 'even'}` });
  await writeFile(at('train.jsonl'), Array.from({ length: 40 }, (_, i) => line(i)).join('\n'));
});
after(async () => {
  await base.close();
  await rm(root, { recursive: true });
});

async function trained(name: string, training: Record<string, unknown>) {
  const peft = parsePeftConfig({ peft_type: 'LORA', r: 4, target_modules: ['q_proj', 'v_proj'] });
  const options = {
    base,
    baseModelName: 'tiny',
    trainingFile: at('train.jsonl'),
    peft,
    training: resolveTraining({ peft, training: { max_steps: 6, ...training }, exampleCount: 40 }),
  };
  let done: Extract<TrainRecord, { type: 'done' }> | undefined;
  for await (const record of train({ ...options, outputDir: at(name), verify: true }))
    if (record.type === 'done') done = record;
  return { options: { ...options, adapterDir: at(name) }, done: done! };
}

for (const precision of ['fp32', 'bf16'] as const) {
  test(`${precision}: the files give the live model's loss, and not the base's`, async () => {
    const { options, done } = await trained(`plain-${precision}`, { learning_rate: 0.02, precision });
    assert.deepEqual([done.verification?.examples, done.verification?.measuredOn], [32, 'training']);
    assert.equal(done.validationLoss, null);
    const { reloadedLoss, baseLoss } = await verifyAdapter(options);
    assert.ok(
      Math.abs(reloadedLoss - done.verification!.loss) < 1e-5,
      `${reloadedLoss}, ${done.verification!.loss}`,
    );
    assert.ok(Math.abs(baseLoss - reloadedLoss) > 1e-3);
  });
}

test('validation examples are what is measured, where there are any', async () => {
  const { options, done } = await trained('split', { learning_rate: 0.02, validation_split: 0.25 });
  assert.deepEqual([done.verification?.examples, done.verification?.measuredOn], [7, 'validation']);
  assert.equal(done.verification?.loss, done.validationLoss);
  const { reloadedLoss } = await verifyAdapter(options);
  assert.ok(Math.abs(reloadedLoss - done.verification!.loss) < 1e-5);
});

test('an adapter that learned nothing has the loss of the base, and damaged files another', async () => {
  const { options, done } = await trained('nothing', { learning_rate: 1e-30 });
  const unchanged = await verifyAdapter(options);
  assert.equal(unchanged.reloadedLoss, unchanged.baseLoss);
  assert.equal(unchanged.moved, true, 'lora_B is no longer zero');

  const { config, tensors } = await readAdapter(at('nothing'));
  const [, first] = [...tensors].find(([name]) => name.endsWith('lora_B.weight'))!;
  first.data.fill(0.3);
  await writeAdapter(at('damaged'), { peft: config, baseModelNameOrPath: 'tiny', tensors });
  const damaged = await verifyAdapter({ ...options, adapterDir: at('damaged') });
  assert.equal(damaged.moved, true);
  assert.ok(Math.abs(damaged.reloadedLoss - done.verification!.loss) > 1e-4);
});

test('weights that are still the start values have not moved, of a new adapter as of one that training continued', async () => {
  // Below the smallest float32: every update is zero.
  const { options } = await trained('still', { learning_rate: 1e-60 });
  const still = await verifyAdapter(options);
  assert.deepEqual([still.reloadedLoss === still.baseLoss, still.moved], [true, false]);

  const continued = await verifyAdapter({ ...options, initialAdapter: at('still') });
  assert.equal(continued.moved, false);
});

test('one step trains: warmup does not take it', async () => {
  const { options } = await trained('one-step', { learning_rate: 0.02, max_steps: 1 });
  const { reloadedLoss, baseLoss, moved } = await verifyAdapter(options);
  assert.ok(Math.abs(baseLoss - reloadedLoss) > 1e-5, `${reloadedLoss}, ${baseLoss}`);
  assert.equal(moved, true);
});

test('an adapter of a quantised base is measured on the base as it is served, where that fits', async () => {
  const { options, done } = await trained('nf4', {
    learning_rate: 0.02,
    precision: 'fp32',
    base_dtype: 'nf4',
    validation_split: 0.25,
  });
  const served = { memoryBytes: null };
  const found = await verifyAdapter({ ...options, served });
  assert.ok(Math.abs(found.reloadedLoss - done.verification!.loss) < 1e-5);
  assert.ok(Math.abs(found.served!.loss - found.reloadedLoss) > 1e-4);
  assert.ok(Math.abs(found.served!.metrics.perplexity! - Math.exp(found.served!.loss)) < 1e-3);
  // The merged adapter is a plain model, as it is served.
  await mergeAdapter({ base, adapterDir: options.adapterDir, outputDir: at('nf4 merged') });
  const merged = await openBaseModel(at('nf4 merged'));
  const wide = { ...options.training, base_dtype: 'fp32' as const };
  const plain = await verifyAdapter({ ...options, training: wide, base: merged });
  assert.ok(Math.abs(plain.baseLoss - found.served!.loss) < 1e-5, `${plain.baseLoss}, ${found.served!.loss}`);
  await merged.close();
  assert.equal(found.baseLoss, (await verifyAdapter({ ...options, training: wide })).baseLoss);

  // Repeating the verification, as after a kill, gives the same result.
  assert.deepEqual(await verifyAdapter({ ...options, served }), found);
  assert.deepEqual(await measureServed(options, served), found.served);
  // The limit is the memory of the engine and 4 bytes for each weight.
  const weights = base.tensors
    .names()
    .reduce((sum, name) => sum + elementCount(base.tensors.info(name).shape), 0);
  const little = { memoryBytes: 160e6 + 4 * weights };
  const unserved = await verifyAdapter({ ...options, served: little });
  assert.equal(unserved.served, null);
  assert.equal(unserved.reloadedLoss, found.reloadedLoss);
  assert.notEqual(unserved.baseLoss, found.baseLoss, 'both are of the quantised base');
});
