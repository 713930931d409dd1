// Tests a moving average of the adapter, and noise on embeddings, in whole runs.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { TrainingOptions } from '../../config/index.ts';
import { type BaseModel, openBaseModel } from '../../files.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { tinyFamilies } from '../../testing/tiny-families.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { trainOptions, trainRecords } from '../../testing/train-adapter.ts';
import { verifyAdapter } from '../verification/verify-adapter.ts';

const at = tempFolder();
const bases: BaseModel[] = [];
before(async () => {
  for (const [name, config] of [
    ['llama', { num_hidden_layers: 1 }],
    ['t5', { ...tinyFamilies.t5, dropout_rate: 0 }],
  ] as const) {
    await writeTinyModel(at(name), config);
    bases.push(await openBaseModel(at(name)));
  }
  const lines = Array.from({ length: 12 }, (_, i) =>
    JSON.stringify({ prompt: `${'x'.repeat(i % 5)}${i}:`, completion: ` ${i % 3}` }),
  );
  writeFileSync(at('train.jsonl'), lines.join('\n'));
});
after(async () => {
  for (const base of bases) await base.close();
});

async function run(
  name: string,
  training: TrainingOptions,
  peft: Record<string, unknown> = { peft_type: 'LORA', r: 2 },
  base = bases[0]!,
) {
  const options = trainOptions({
    base,
    peft,
    trainingFile: at('train.jsonl'),
    validationFile: at('train.jsonl'),
    exampleCount: 12,
    training: { max_steps: 6, n_epochs: 9, learning_rate: 0.05, batch_size: 4, eval_steps: 3, ...training },
    outputDir: at(`${name}-adapter`),
  });
  const records = await trainRecords({ ...options, verify: true });
  const done = records.at(-1);
  assert.ok(done?.type === 'done');
  const losses = records.flatMap((record) => (record.type === 'step' ? [record.loss] : []));
  const evaluations = records.flatMap((record) => (record.type === 'evaluation' ? [record.loss] : []));
  return { options, done, losses, evaluations };
}

test('training is what it is without an average, and the average is what is measured and published', async () => {
  const [plain, averaged] = [await run('plain', {}), await run('averaged', { ema_decay: 0.7 })];
  assert.deepEqual(averaged.losses, plain.losses);
  assert.notDeepEqual(averaged.evaluations, plain.evaluations);
  assert.equal(averaged.done.validationLoss, averaged.evaluations.at(-1));
  const { base } = averaged.options;
  const verified = await verifyAdapter({ ...averaged.options, base, adapterDir: averaged.done.adapterDir });
  assert.ok(Math.abs(verified.reloadedLoss - averaged.done.validationLoss!) < 1e-5);
});

test('of one step the average is that step, bit for bit', async () => {
  const once = { max_steps: 1, eval_steps: 1 };
  const [plain, averaged] = [
    await run('once', once),
    await run('once-averaged', { ...once, ema_decay: 0.9 }),
  ];
  assert.deepEqual(averaged.evaluations, plain.evaluations);
});

for (const [i, name] of ['llama', 't5'].entries())
  test(`${name}: noise is on what is trained on, and not on what is measured`, async () => {
    // A learning rate at which nothing changes: the only difference is the noise.
    const still = { learning_rate: 1e-12 };
    const peft = {
      peft_type: 'LORA',
      r: 2,
      ...(name === 't5' ? { task_type: 'SEQ_2_SEQ_LM', target_modules: ['q', 'v'] } : {}),
    };
    const plain = await run(`${name}-still`, still, peft, bases[i]);
    const noisy = await run(`${name}-noisy`, { ...still, neftune_noise_alpha: 20 }, peft, bases[i]);
    for (const [step, loss] of plain.losses.entries())
      assert.ok(Math.abs(noisy.losses[step]! - loss) > 1e-5, `${noisy.losses[step]} and ${loss}`);
    for (const [at, loss] of plain.evaluations.entries())
      assert.ok(Math.abs(noisy.evaluations[at]! - loss) < 1e-5);
  });
