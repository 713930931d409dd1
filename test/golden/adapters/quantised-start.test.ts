/**
 * Twenty steps from LoftQ's start values on an nf4 base give the losses of PyTorch and HF PEFT on the same quantised weights. The published
 * adapter is a plain LoRA, with which PEFT computes on that base what it computes with its own.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { train } from '@graft/peft-core';
import { parsePeftConfig } from '@graft/peft-core/config';
import { type HostTensor, openBaseModel, readAdapter, writeModelFolder } from '@graft/peft-core/files';
import { outlineOf } from '@graft/peft-core/outlines';
import { dequantised } from '../../../packages/peft-core/src/weights/base-storage.ts';
import { runPythonJson } from '../../../scripts/golden/environment/run-python.ts';
import { trainingPlan } from '../../../scripts/golden/training-plan.ts';
import { writeExamples } from '../fixtures/example-data.ts';
import { type PythonScore, scoreInPython } from '../fixtures/score-in-python.ts';
import { scratchFolder } from '../fixtures/scratch-folder.ts';
import { tinyFixture } from '../fixtures/tiny-fixture.ts';

const folder = scratchFolder('quantised-start');
const trainingFile = join(folder, 'chat.jsonl');
const training = {
  precision: 'fp32',
  base_dtype: 'nf4',
  max_steps: 20,
  n_epochs: 20,
  batch_size: 4,
  learning_rate: 3e-3,
  lr_scheduler_type: 'cosine',
  warmup_steps: 2,
  weight_decay: 0.01,
  max_grad_norm: 0.5,
};

const cases = [
  {
    name: 'a scale of 1, as in PEFT',
    model: 'untied',
    config: { r: 4, lora_alpha: 4, target_modules: 'all-linear' },
  },
  {
    name: 'rsLoRA, with a pattern',
    model: 'tied',
    config: {
      r: 4,
      lora_alpha: 6,
      target_modules: ['q_proj', 'v_proj', 'down_proj'],
      rank_pattern: { v_proj: 2 },
      use_rslora: true,
    },
  },
];

interface Step {
  loss: number;
  grad_norm: number;
}
interface Run {
  mine: Step[];
  theirs: { steps: Step[]; starts: Record<string, number[]> };
  /** scale · B A of each module before the first step. */
  starts: Map<string, Float32Array>;
  /** W − Q(W) of each weight. */
  errors: Map<string, Float32Array>;
  scores: PythonScore[];
}
const runs = new Map<string, Run>();
const fixture = await tinyFixture();
const quantisedFolder = (model: string) => join(folder, `${model} quantised`);
const adapterOf = (side: string, name: string) => join(folder, `${name} by ${side}`);

before(async () => {
  await writeExamples(trainingFile, 'chat', 30);
  const planned = [];
  for (const { name, model, config } of cases) {
    const source = fixture.modelFolder(model);
    const base = await openBaseModel(source);
    try {
      const errors = await writeQuantised(model, base);
      const init = { init_lora_weights: 'loftq' };
      const peft = parsePeftConfig({ peft_type: 'LORA', ...config, ...init });
      const plan = await trainingPlan({ model: source, trainingFile, peft, training });
      const options = { base, baseModelName: 'tiny', trainingFile, peft };
      const mine: Step[] = [];
      for await (const record of train({
        ...options,
        training: plan.training,
        outputDir: adapterOf('graft', name),
      }))
        if (record.type === 'step') mine.push({ loss: record.loss, grad_norm: record.gradNorm });
      // One step at a rate that changes nothing visible.
      const still = { ...plan.training, max_steps: 1, warmup_steps: 0, learning_rate: 1e-12 };
      const outputDir = adapterOf('nobody', name);
      for await (const _ of train({ ...options, training: still, outputDir }));
      const { tensors } = await readAdapter(outputDir);
      const written = JSON.parse(await readFile(join(outputDir, 'adapter_config.json'), 'utf8'));
      runs.set(name, { mine, theirs: null as never, starts: products(tensors, written), errors, scores: [] });
      planned.push({
        original: source,
        model: quantisedFolder(model),
        config,
        output: adapterOf('peft', name),
        steps: plan.steps,
        options: plan.training,
      });
    } finally {
      await base.close();
    }
  }
  const results = await runPythonJson<Run['theirs']>('principal_starts.py', [], { runs: planned });
  for (const [i, { name }] of cases.entries()) runs.get(name)!.theirs = results[i]!;
  const scored = await scoreInPython(
    cases.flatMap(({ name, model }) => {
      const { inputs } = fixture.scores.find((score) => score.model === model)!;
      const probes = inputs.slice(0, 2).map(({ input_ids }) => input_ids);
      return [adapterOf('graft', name), adapterOf('peft', name), null].map((adapter) => ({
        model: quantisedFolder(model),
        adapter,
        inputs: probes,
        greedy: false,
      }));
    }),
  );
  for (const [i, { name }] of cases.entries()) runs.get(name)!.scores = scored.slice(3 * i, 3 * i + 3);
});

for (const { name } of cases)
  describe(name, () => {
    test('losses and norms of gradients are those of PEFT, within 1e-3', () => {
      const { mine, theirs } = runs.get(name)!;
      assert.equal(mine.length, theirs.steps.length);
      for (const [i, step] of mine.entries()) {
        const expected = theirs.steps[i]!;
        assert.ok(Math.abs(step.loss - expected.loss) < 1e-3, `step ${i + 1}: ${step.loss} ${expected.loss}`);
        const relative = Math.abs(step.grad_norm / expected.grad_norm - 1);
        assert.ok(relative < 1e-2, `norm of step ${i + 1}: ${step.grad_norm} ${expected.grad_norm}`);
      }
      assert.ok(mine.at(-1)!.loss < mine[0]!.loss - 0.01);
    });

    test('the start is PEFT’s, and closer to the original weights than the quantised ones are', () => {
      const { theirs, starts, errors } = runs.get(name)!;
      assert.deepEqual([...starts.keys()].sort(), Object.keys(theirs.starts).sort());
      for (const [module, expected] of Object.entries(theirs.starts)) {
        const found = starts.get(module)!;
        const size = norm(found);
        const apart = norm(found.map((value, i) => value - expected[i]!));
        assert.ok(apart < 1e-3 * size, `${module}: ${apart} of ${size}`);
        const error = errors.get(`${module}.weight`)!;
        const left = norm(error.map((value, i) => value - found[i]!)) / norm(error);
        assert.ok(left > 0 && left < 0.97, `${module}: ${left} of the error is left`);
      }
    });

    test('the files are plain LoRA, with which PEFT computes on the quantised base what it computes with its own', async () => {
      const text = await readFile(join(adapterOf('graft', name), 'adapter_config.json'), 'utf8');
      const config = JSON.parse(text);
      assert.deepEqual([config.init_lora_weights, config.r, config.loftq_config], [true, 4, {}]);
      const [mine, expected, base] = runs.get(name)!.scores;
      assert.deepEqual(Object.values(mine!.mismatch!).flat(), []);
      const distance = (other: PythonScore) =>
        Math.max(
          ...mine!.logprobs.flatMap((row, i) =>
            row.map((value, j) => Math.abs(value - other.logprobs[i]![j]!)),
          ),
        );
      assert.ok(distance(base!) > 0.01, `from the base model: ${distance(base!)}`);
      assert.ok(distance(expected!) < 1e-3, `from PEFT's: ${distance(expected!)}`);
    });
  });

/** Writes the model with the weights that training reads. Returns what quantising took from each weight. */
async function writeQuantised(
  model: string,
  base: Awaited<ReturnType<typeof openBaseModel>>,
): Promise<Map<string, Float32Array>> {
  const unpack = dequantised(outlineOf(base.config, 'CAUSAL_LM'), 'nf4');
  const errors = new Map<string, Float32Array>();
  const tensors = [];
  for (const name of base.tensors.names()) {
    const values = await base.tensors.readFloat32(name);
    const data = unpack(name, values);
    errors.set(
      name,
      values.map((value, i) => value - data[i]!),
    );
    tensors.push({ name, shape: base.tensors.info(name).shape, data });
  }
  await writeModelFolder(quantisedFolder(model), { base, tensors });
  return errors;
}

interface Scaled {
  lora_alpha: number;
  use_rslora: boolean;
}

/** scale · B A of every module, by name. */
function products(
  tensors: ReadonlyMap<string, HostTensor>,
  { lora_alpha: alpha, use_rslora }: Scaled,
): Map<string, Float32Array> {
  const found = new Map<string, Float32Array>();
  for (const [key, a] of tensors) {
    if (!key.endsWith('.lora_A.weight')) continue;
    const b = tensors.get(key.replace('lora_A', 'lora_B'))!;
    const [rank, width] = a.shape as [number, number];
    const scale = alpha / (use_rslora ? Math.sqrt(rank) : rank);
    const product = new Float32Array(b.shape[0]! * width);
    for (let i = 0; i < b.shape[0]!; i++)
      for (let j = 0; j < width; j++)
        for (let k = 0; k < rank; k++)
          product[i * width + j]! += scale * b.data[i * rank + k]! * a.data[k * width + j]!;
    found.set(key.slice('base_model.model.'.length, -'.lora_A.weight'.length), product);
  }
  return found;
}

function norm(values: Float32Array): number {
  return Math.hypot(...values);
}
