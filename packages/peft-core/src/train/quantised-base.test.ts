import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { parsePeftConfig, type TrainingOptions } from '../config/index.ts';
import { mergeAdapter } from '../exports/merge-adapter.ts';
import { type BaseModel, openBaseModel, readSafetensors } from '../files.ts';
import { scoreTexts } from '../score/score-texts.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { type TestTrainOptions, trainOptions, trainRecords } from '../testing/train-adapter.ts';
import type { TrainRecord } from './records.ts';
import { verifyAdapter } from './verification/verify-adapter.ts';
import { WarmModel } from './warm-model.ts';

let root: string;
let base: BaseModel;
let trainingFile: string;

before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-quantised-'));
  await writeTinyModel(path.join(root, 'model'));
  base = await openBaseModel(path.join(root, 'model'));
  trainingFile = path.join(root, 'train.jsonl');
  const lines = Array.from({ length: 16 }, (_, i) => ({ prompt: `${i}:`, completion: ` ${i % 3}` }));
  await writeFile(trainingFile, lines.map((line) => JSON.stringify(line)).join('\n'));
});
after(async () => {
  await base.close();
  await rm(root, { recursive: true });
});

function options(
  name: string,
  training: TrainingOptions,
  more: Partial<TestTrainOptions> = {},
  lora_dropout = 0.1,
): TestTrainOptions {
  return {
    ...trainOptions({
      base,
      trainingFile,
      exampleCount: 16,
      peft: { peft_type: 'LORA', r: 4, target_modules: 'all-linear', lora_dropout },
      training: { n_epochs: 4, learning_rate: 0.01, batch_size: 4, checkpoint_steps: 3, ...training },
      outputDir: path.join(root, name, 'adapter'),
    }),
    checkpointDir: path.join(root, name, 'checkpoints'),
    ...more,
  };
}

const losses = (records: TrainRecord[]) => records.flatMap((r) => (r.type === 'step' ? [r.loss] : []));
const file = (name: string) => path.join(root, name, 'adapter/adapter_model.safetensors');

for (const base_dtype of ['int8', 'nf4'] as const) {
  test(`${base_dtype}: learns close to the fp32 curve, and leaves an adapter of the same files`, async () => {
    const wide = losses(await trainRecords(options('fp32', { base_dtype: 'fp32' })));
    const found = losses(await trainRecords(options(base_dtype, { base_dtype })));
    assert.equal(found.length, 16);
    assert.ok(found.at(-1)! < found[0]! - 1, `${found[0]} → ${found.at(-1)}`);
    const apart = found.map((loss, i) => Math.abs(loss - wide[i]!));
    const bound = base_dtype === 'int8' ? 0.01 : 0.1;
    assert.ok(Math.max(...apart) < bound, `${found} and ${wide}`);
    // A quantised base is another base, so the loss differs from the first step on.
    assert.ok(apart[0]! > 0);

    const [own, plain] = await Promise.all([base_dtype, 'fp32'].map((name) => readSafetensors(file(name))));
    assert.deepEqual(own!.names(), plain!.names());
    for (const name of own!.names()) assert.deepEqual(own!.info(name), plain!.info(name));
    await Promise.all([own!.close(), plain!.close()]);
    const config = (name: string) => readFile(path.join(root, name, 'adapter/adapter_config.json'), 'utf8');
    assert.equal(await config(base_dtype), await config('fp32'));
  });

  test(`${base_dtype}: the same bits again, also warm and resumed from a checkpoint`, async () => {
    const name = `${base_dtype}-again`;
    const whole = losses(await trainRecords(options(name, { base_dtype })));
    const warm = new WarmModel();
    // A job with the base in another storage type must not get the program of the first job.
    await trainRecords(options('between', { base_dtype: 'fp32', max_steps: 1 }, { warm }));
    for (let i = 0; i < 2; i++) {
      assert.deepEqual(losses(await trainRecords(options(`${name}-warm`, { base_dtype }, { warm }))), whole);
    }
    warm.close();
    await trainRecords(options(`${name}-cut`, { base_dtype }), (r) => r.type === 'step' && r.step === 7);
    const rest = await trainRecords(options(`${name}-cut`, { base_dtype }, { resume: true }));
    assert.ok(rest[0]!.type === 'start' && rest[0]!.resumedFrom === 6);
    assert.deepEqual(losses(rest), whole.slice(6));
    assert.deepEqual(await readFile(file(`${name}-cut`)), await readFile(file(name)));
  });

  test(`${base_dtype}: bf16 products, accumulation and checkpointed blocks take the same steps`, async () => {
    const wide = losses(await trainRecords(options(`${base_dtype}-wide`, { base_dtype, precision: 'bf16' })));
    const plain = losses(await trainRecords(options(`${base_dtype}-plain`, { base_dtype })));
    for (const [i, loss] of wide.entries()) assert.ok(Math.abs(loss - plain[i]!) < 0.05);
    const steps = async (name: string, training: TrainingOptions) =>
      losses(await trainRecords(options(`${base_dtype}-${name}`, { base_dtype, ...training }, {}, 0)));
    const reference = await steps('reference', {});
    for (const [name, training] of [
      ['blocks', { gradient_checkpointing: true }],
      ['micro', { batch_size: 2, gradient_accumulation_steps: 2 }],
    ] as const) {
      for (const [i, loss] of (await steps(name, training)).entries()) {
        assert.ok(Math.abs(loss - reference[i]!) < 1e-4, `${name}, step ${i + 1}: ${loss}, ${reference[i]}`);
      }
    }
  });
}

for (const base_dtype of ['int8', 'nf4'] as const) {
  test(`${base_dtype}: merges into the original weights as served, and into the dequantised ones as trained`, async () => {
    const given = { ...options(`${base_dtype}-merged`, { base_dtype, precision: 'fp32' }), verify: true };
    const done = (await trainRecords(given)).at(-1)!;
    assert.ok(done.type === 'done');
    const adapterDir = given.outputDir;
    const mergeInto = async (into: 'original' | 'dequantised') => {
      const outputDir = path.join(root, `${base_dtype}-merged`, into);
      const { notes } = await mergeAdapter({ base, adapterDir, outputDir, into });
      assert.match(notes.join(), new RegExp(`the base in ${base_dtype}`));
      return await openBaseModel(outputDir);
    };
    const [served, trained] = [await mergeInto('original'), await mergeInto('dequantised')];
    // The loss that `verifyAdapter` measures without the adapter is that of the plain base model.
    const training = { ...given.training, base_dtype: 'fp32' as const };
    const lossOf = async (merged: BaseModel) =>
      (await verifyAdapter({ ...given, training, base: merged, adapterDir })).baseLoss;
    const trainedLoss = await lossOf(trained);
    const live = done.verification!.loss;
    assert.ok(Math.abs(trainedLoss - live) < 1e-5, `${trainedLoss} merged, ${live} trained`);
    assert.ok(Math.abs((await lossOf(served)) - live) > 1e-4, 'the original weights are others');

    const input = [{ text: '3: 0' }];
    const score = async (options: Parameters<typeof scoreTexts>[0]) => {
      const found: number[] = [];
      for await (const score of scoreTexts(options)) if ('logprobs' in score) found.push(...score.logprobs);
      return found;
    };
    const [apart, whole] = [await score({ base, adapterDir, input }), await score({ base: served, input })];
    for (const [i, x] of apart.entries()) assert.ok(Math.abs(x - whole[i]!) < 1e-4);
    await Promise.all([served.close(), trained.close()]);
  });
}

test('loftq: starts closer to the original model than nf4, and its files compute on that base what was trained', async () => {
  const quiet = { precision: 'fp32', max_steps: 1 } as const;
  const firstLoss = async (name: string, base_dtype: 'fp32' | 'nf4', peft: object = {}) => {
    const given = { ...options(name, { ...quiet, base_dtype }, {}, 0), peft: { peft_type: 'LORA', ...peft } };
    return losses(await trainRecords({ ...given, peft: parsePeftConfig(given.peft) }))[0]!;
  };
  const plain = { r: 16, lora_alpha: 32, target_modules: ['q_proj', 'o_proj', 'gate_proj', 'down_proj'] };
  const loftq = { ...plain, init_lora_weights: 'loftq' };
  const original = await firstLoss('start-fp32', 'fp32', plain);
  const quantised = await firstLoss('start-nf4', 'nf4', plain);
  const closer = await firstLoss('start-loftq', 'nf4', loftq);
  const apart = [Math.abs(closer - original), Math.abs(quantised - original)];
  assert.ok(apart[0]! < apart[1]!, `${original}, nf4 ${quantised}, loftq ${closer}`);

  const given = { ...options('loftq', { base_dtype: 'nf4', precision: 'fp32' }), verify: true };
  const own = { ...given, peft: parsePeftConfig({ peft_type: 'LORA', ...loftq, lora_dropout: 0.1 }) };
  const done = (await trainRecords(own)).at(-1)!;
  assert.ok(done.type === 'done');
  const { reloadedLoss, moved } = await verifyAdapter({ ...own, adapterDir: own.outputDir });
  assert.equal(reloadedLoss, done.verification!.loss);
  assert.ok(moved);
});

test('only an adapter that names its quantised base merges into that', async () => {
  const { outputDir: adapterDir, ...given } = options('wide-merged', { base_dtype: 'fp32', max_steps: 1 });
  await trainRecords({ ...given, outputDir: adapterDir });
  const merging = { base, adapterDir, outputDir: path.join(root, 'wide-merged/model') };
  await assert.rejects(mergeAdapter({ ...merging, into: 'dequantised' }), { code: 'base_not_quantised' });
  assert.deepEqual((await mergeAdapter(merging)).notes, []);
});
