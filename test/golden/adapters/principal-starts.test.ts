/**
 * Twenty steps from PiSSA's and OLoRA's start values give the losses of PyTorch and HF PEFT, although the base model keeps its weights
 * here. The published adapters are plain LoRA on the unchanged base model, like PEFT's converted ones. Singular vectors are unique but for
 * their signs, which change neither losses nor products.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { train } from '@graft/peft-core';
import { parsePeftConfig } from '@graft/peft-core/config';
import { openBaseModel, readAdapter } from '@graft/peft-core/files';
import { runPythonJson } from '../../../scripts/golden/environment/run-python.ts';
import { trainingPlan } from '../../../scripts/golden/training-plan.ts';
import { writeExamples } from '../fixtures/example-data.ts';
import { type PythonScore, scoreInPython } from '../fixtures/score-in-python.ts';
import { scratchFolder } from '../fixtures/scratch-folder.ts';
import { tinyFixture } from '../fixtures/tiny-fixture.ts';

const folder = scratchFolder('principal-starts');
const trainingFile = join(folder, 'chat.jsonl');
const training = {
  precision: 'fp32',
  max_steps: 20,
  n_epochs: 20,
  batch_size: 4,
  learning_rate: 3e-3,
  lr_scheduler_type: 'cosine',
  warmup_steps: 2,
  weight_decay: 0.01,
  max_grad_norm: 0.5,
};
const query = ['q_proj', 'v_proj'];

interface Case {
  name: string;
  model: string;
  config: Record<string, unknown>;
}
const cases: Case[] = [
  {
    name: 'pissa',
    model: 'untied',
    config: { r: 4, lora_alpha: 8, target_modules: 'all-linear', init_lora_weights: 'pissa' },
  },
  {
    name: 'pissa with rsLoRA',
    model: 'tied',
    config: { r: 4, lora_alpha: 6, target_modules: query, use_rslora: true, init_lora_weights: 'pissa' },
  },
  {
    name: 'olora',
    model: 'tied',
    config: { r: 4, lora_alpha: 4, target_modules: [...query, 'down_proj'], init_lora_weights: 'olora' },
  },
  {
    name: 'olora with patterns',
    model: 'untied',
    config: {
      r: 4,
      lora_alpha: 2,
      target_modules: query,
      rank_pattern: { v_proj: 2 },
      alpha_pattern: { v_proj: 3 },
      init_lora_weights: 'olora',
    },
  },
];

interface Step {
  loss: number;
  grad_norm: number;
}
const theirs = new Map<string, { steps: Step[]; starts: Record<string, number> }>();
const ours = new Map<string, Step[]>();
const scores = new Map<string, PythonScore[]>();
const fixture = await tinyFixture();
const adapterOf = (side: string, name: string) => join(folder, `${name} by ${side}`);

before(async () => {
  await writeExamples(trainingFile, 'chat', 30);
  const runs = [];
  for (const { name, model, config } of cases) {
    const peft = parsePeftConfig({ peft_type: 'LORA', ...config });
    const plan = await trainingPlan({ model: fixture.modelFolder(model), trainingFile, peft, training });
    runs.push({
      model: fixture.modelFolder(model),
      config,
      output: adapterOf('peft', name),
      steps: plan.steps,
      options: plan.training,
    });
    const base = await openBaseModel(fixture.modelFolder(model));
    const steps: Step[] = [];
    try {
      const options = { base, baseModelName: 'tiny', trainingFile, peft, training: plan.training };
      for await (const record of train({ ...options, outputDir: adapterOf('graft', name) }))
        if (record.type === 'step') steps.push({ loss: record.loss, grad_norm: record.gradNorm });
    } finally {
      await base.close();
    }
    ours.set(name, steps);
  }
  const results = await runPythonJson<{ steps: Step[]; starts: Record<string, number> }>(
    'principal_starts.py',
    [],
    { runs },
  );
  for (const [i, { name }] of cases.entries()) theirs.set(name, results[i]!);
  const scored = await scoreInPython(
    cases.flatMap(({ name, model }) => {
      const { inputs } = fixture.scores.find((score) => score.model === model)!;
      const probes = inputs.slice(0, 2).map(({ input_ids }) => input_ids);
      return [adapterOf('graft', name), adapterOf('peft', name), null].map((adapter) => ({
        model: fixture.modelFolder(model),
        adapter,
        inputs: probes,
        greedy: false,
      }));
    }),
  );
  for (const [i, { name }] of cases.entries()) scores.set(name, scored.slice(3 * i, 3 * i + 3));
});

for (const { name } of cases)
  describe(name, () => {
    test('losses and norms of gradients are those of PEFT, within 1e-3', () => {
      const [mine, expected] = [ours.get(name)!, theirs.get(name)!.steps];
      assert.equal(mine.length, expected.length);
      for (const [i, step] of mine.entries()) {
        assert.ok(
          Math.abs(step.loss - expected[i]!.loss) < 1e-3,
          `step ${i + 1}: ${step.loss} ${expected[i]!.loss}`,
        );
        const relative = Math.abs(step.grad_norm / expected[i]!.grad_norm - 1);
        assert.ok(relative < 1e-2, `norm of step ${i + 1}: ${step.grad_norm} ${expected[i]!.grad_norm}`);
      }
      assert.ok(mine.at(-1)!.loss < mine[0]!.loss - 0.01);
    });

    test('the files are plain LoRA of twice the rank, whose other half is the negative start', async () => {
      const config = async (side: string) =>
        JSON.parse(await readFile(join(adapterOf(side, name), 'adapter_config.json'), 'utf8'));
      const [mine, expected] = [await config('graft'), await config('peft')];
      for (const field of ['r', 'rank_pattern', 'init_lora_weights', 'use_rslora'])
        assert.deepEqual(mine[field], expected[field], field);
      assert.ok(Math.abs(mine.lora_alpha - expected.lora_alpha) < 1e-6);
      assert.deepEqual(mine.alpha_pattern, expected.alpha_pattern);
      const { tensors } = await readAdapter(adapterOf('graft', name));
      const { starts } = theirs.get(name)!;
      for (const [module, norm] of Object.entries(starts)) {
        const [a, b] = ['A', 'B'].map(
          (each) => tensors.get(`base_model.model.${module}.lora_${each}.weight`)!,
        );
        const pattern = module.endsWith('v_proj') ? mine.alpha_pattern.v_proj : undefined;
        const rank = a!.shape[0]!;
        const alpha = pattern ?? mine.lora_alpha;
        const scale = mine.use_rslora ? alpha / Math.sqrt(rank) : alpha / rank;
        const found = scale * startNorm(a!, b!);
        assert.ok(Math.abs(found - norm) < 1e-4 * norm, `${module}: ${found} ${norm}`);
      }
    });

    test('PEFT computes with the files, on the unchanged base model, what it computes with its own', () => {
      const [mine, expected, base] = scores.get(name)!;
      assert.deepEqual(Object.values(mine!.mismatch!).flat(), []);
      const distance = (other: { logprobs: number[][] }) =>
        Math.max(
          ...mine!.logprobs.flatMap((row, i) =>
            row.map((value, j) => Math.abs(value - other.logprobs[i]![j]!)),
          ),
        );
      assert.ok(distance(base!) > 0.01, `from the base model: ${distance(base!)}`);
      assert.ok(distance(expected!) < 1e-3, `from PEFT's: ${distance(expected!)}`);
    });
  });

/** The Frobenius norm of the product of the second halves. */
function startNorm(
  a: { shape: number[]; data: Float32Array },
  b: { shape: number[]; data: Float32Array },
): number {
  const [ranks, width] = a.shape as [number, number];
  let squares = 0;
  for (let i = 0; i < b.shape[0]!; i++)
    for (let j = 0; j < width; j++) {
      let sum = 0;
      for (let k = ranks / 2; k < ranks; k++) sum += b.data[i * ranks + k]! * a.data[k * width + j]!;
      squares += sum * sum;
    }
  return Math.sqrt(squares);
}
