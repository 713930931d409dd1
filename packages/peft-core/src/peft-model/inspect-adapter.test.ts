import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { parsePeftConfig } from '../config/index.ts';
import { type BaseModel, openBaseModel, writeAdapter } from '../files.ts';
import { inspectAdapter } from '../index.ts';
import { architectureFor } from '../models/registry.ts';
import { withLabels } from '../outlines/label-names.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { attach, keysOf } from '../tuners/registry.ts';

let root: string;
let base: BaseModel;
before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-inspect-'));
  await writeTinyModel(path.join(root, 'model'));
  base = await openBaseModel(path.join(root, 'model'));
});
after(async () => {
  await base.close();
  await rm(root, { recursive: true });
});

/** An adapter of zeros with all the files of a trained one. */
async function adapterOf(name: string, options: Record<string, unknown>, labels: string[] | null = null) {
  const peft = parsePeftConfig(options);
  const config = labels ? withLabels(base.config, labels) : base.config;
  const attachment = attach(peft, architectureFor('llama', config, peft.task_type), 'folded');
  const keyOf = keysOf(peft);
  const tensors = new Map(
    [...attachment.parameters, ...(attachment.copies ?? [])].map(({ name, shape }) => [
      keyOf(name),
      { shape, data: new Float32Array(elementCount(shape)) },
    ]),
  );
  const folder = path.join(root, name);
  await writeAdapter(folder, {
    peft: attachment.written ?? peft,
    baseModelNameOrPath: 'org/tiny',
    tensors,
    labels,
    baseConfig: config,
    baseDigest: await base.digest(),
  });
  return folder;
}

test('a classifier of three classes fits the base model that it was trained on, and its labels are reported', async () => {
  const labels = ['bad', 'fair', 'good'];
  const folder = await adapterOf('classifier', { peft_type: 'LORA', r: 2, task_type: 'SEQ_CLS' }, labels);
  const report = await inspectAdapter(folder, base);
  assert.deepEqual(report.fits!.faults, []);
  assert.equal(report.fits!.mergeable, true);
  assert.ok(report.fits!.share_of_base > 0 && report.fits!.share_of_base < 1);
  assert.deepEqual(report.labels, labels);
  assert.deepEqual([report.needs.classes, report.needs.modules], [3, ['score']]);
  assert.deepEqual(report.runtimes, ['Graft', 'HF PEFT']);
});

test('the needs of an adapter are reported: base, library, tokens, positions', async () => {
  const needs = async (name: string, options: Record<string, unknown>) =>
    (await inspectAdapter(await adapterOf(name, options))).needs;
  const common = { base_model: 'org/tiny', base_sha256: await base.digest() };
  const peft = { ...common, library: 'HF PEFT 0.21.2', tokens: [], positions: 0, modules: [], classes: null };
  assert.deepEqual(await needs('plain', { peft_type: 'LORA', r: 2 }), peft);
  assert.deepEqual(
    await needs('rows', { peft_type: 'LORA', r: 2, trainable_token_indices: { embed_tokens: [7, 5] } }),
    { ...peft, tokens: [7, 5] },
  );
  assert.deepEqual(await needs('tokens', { peft_type: 'TRAINABLE_TOKENS', token_indices: [3] }), {
    ...peft,
    tokens: [3],
  });
  assert.deepEqual(
    await needs('prefix', { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 5, modules_to_save: ['norm'] }),
    { ...peft, positions: 5, modules: ['norm'] },
  );
  assert.deepEqual(await needs('bottleneck', { peft_type: 'BOTTLENECK' }), {
    ...peft,
    library: 'adapters 1.3.0',
  });
  assert.deepEqual(await needs('selective', { peft_type: 'SELECTIVE', kinds: ['norm'] }), {
    ...peft,
    library: null,
  });
});

test('the runtimes are those that read what the options add', async () => {
  const runtimes = async (name: string, options: object) =>
    (await inspectAdapter(await adapterOf(name, { peft_type: 'LORA', r: 2, ...options }))).runtimes;
  assert.deepEqual(await runtimes('served', {}), [
    'Graft',
    'HF PEFT',
    'vLLM',
    'SGLang',
    'TGI',
    'llama.cpp (converted)',
  ]);
  assert.deepEqual(await runtimes('dora', { use_dora: true }), ['Graft', 'HF PEFT']);
});
