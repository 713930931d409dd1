/**
 * Training in bf16 ends where training in fp32 does: 90 steps of small random models on tasks of the sweep, one of each kind of
 * loss. The kernels and products are those of real models, whose losses differ less.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { train } from '@graft/peft-core';
import { parsePeftConfig, resolveTraining } from '@graft/peft-core/config';
import { openBaseModel } from '@graft/peft-core/files';
import { writeTinyModel } from '@graft/peft-core/testing';
import { tasks } from '../../scripts/sweep/tasks.ts';

const folder = await mkdtemp(join(tmpdir(), 'graft-bf16-'));
after(() => rm(folder, { recursive: true }));

const encoder = { model_type: 'bert', hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 };
const cases: { task: string; config: Record<string, unknown> }[] = [
  { task: 'orders', config: {} },
  { task: 'urgency', config: encoder },
  { task: 'descriptions', config: encoder },
];

async function fileOf(name: string, rows: object[]): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return file;
}

/** Validation losses, the last of them after the last step. */
async function losses({ task: name, config }: (typeof cases)[0], precision: 'fp32' | 'bf16') {
  const { type, data } = tasks[name]!;
  const { training, validation } = data();
  const model = join(folder, name);
  await writeTinyModel(model, config);
  const base = await openBaseModel(model);
  const peft = parsePeftConfig({ peft_type: 'LORA', task_type: type, target_modules: 'all-linear' });
  const options = {
    max_steps: 90,
    n_epochs: 50,
    batch_size: 8,
    learning_rate: 0.01,
    eval_steps: 15,
    precision,
  };
  const measured: number[] = [];
  try {
    const records = train({
      base,
      baseModelName: name,
      peft,
      outputDir: join(folder, 'adapter'),
      trainingFile: await fileOf('train.jsonl', training.slice(0, 200)),
      validationFile: await fileOf('validation.jsonl', validation),
      training: resolveTraining({ peft, training: options, exampleCount: 200 }),
    });
    for await (const record of records) {
      if (record.type === 'start') assert.equal(record.precision, precision);
      if (record.type === 'evaluation') measured.push(record.loss);
    }
  } finally {
    await base.close();
  }
  return measured;
}

for (const each of cases) {
  test(`${each.task}: the validation loss of bf16 ends within 5 % of that of fp32`, async () => {
    const [wide, narrow] = [await losses(each, 'fp32'), await losses(each, 'bf16')];
    const [first, end, narrowEnd] = [wide[0]!, wide.at(-1)!, narrow.at(-1)!];
    assert.notDeepEqual(narrow, wide);
    assert.ok(end < first, `nothing was learned: ${first} to ${end}`);
    assert.ok(Math.abs(narrowEnd / end - 1) < 0.05, `${narrowEnd} instead of ${end}`);
  });
}
