import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { planTraining } from '../../examples/index.ts';
import { openBaseModel } from '../../files.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { trainOptions } from '../../testing/train-adapter.ts';
import { setUpTraining } from '../setup.ts';
import { buildTrainProgram } from '../train-program.ts';

let root: string;

before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-program-'));
  await writeTinyModel(root);
});
after(async () => await rm(root, { recursive: true }));

test('the evaluation is traced at its first use, and once: a first step does not wait for it', async () => {
  const trainingFile = path.join(root, 'train.jsonl');
  await writeFile(
    trainingFile,
    Array.from({ length: 8 }, (_, i) => JSON.stringify({ text: `${i}` })).join('\n'),
  );
  const base = await openBaseModel(root);
  await base.close();
  const options = trainOptions({
    base,
    trainingFile,
    exampleCount: 8,
    outputDir: path.join(root, 'adapter'),
    peft: { peft_type: 'LORA', r: 2, target_modules: ['q_proj'] },
    training: {},
  });
  const { architecture, objective, data, layout, computation } = await setUpTraining(options);
  const { shape } = planTraining(data.training, options.training, layout);
  const built = buildTrainProgram({
    architecture,
    objective,
    peft: options.peft,
    form: 'trained',
    training: options.training,
    ...computation,
    storage: 'float32',
    precision: 'fp32',
    grid: shape,
    evaluationGrid: shape,
  });
  try {
    const added: string[] = [];
    const { program } = built;
    const add = program.add.bind(program);
    program.add = (variables, functions) => {
      added.push(...functions.map(({ name }) => name));
      add(variables, functions);
    };
    assert.deepEqual(added, []);
    assert.equal(built.evaluate!(), built.evaluate!());
    assert.deepEqual(added, ['evaluate']);
  } finally {
    built.program.close();
  }
});
