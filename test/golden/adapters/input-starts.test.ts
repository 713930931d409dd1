/**
 * EVA's start values, and twenty steps from them, are those of PyTorch and HF PEFT on the same positions of the same batches. The published
 * adapters are plain LoRA, and each library computes with the files of the other.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { train } from '@graft/peft-core';
import { parsePeftConfig } from '@graft/peft-core/config';
import { planInputs } from '@graft/peft-core/examples';
import { openBaseModel, readAdapter } from '@graft/peft-core/files';
import { runPythonJson } from '../../../scripts/golden/environment/run-python.ts';
import { plannedExample, trainingPlan } from '../../../scripts/golden/training-plan.ts';
import { writeExamples } from '../fixtures/example-data.ts';
import { graftOutputs, largestDifference } from '../fixtures/graft-outputs.ts';
import { type PythonScore, scoreInPython } from '../fixtures/score-in-python.ts';
import { scratchFolder } from '../fixtures/scratch-folder.ts';
import { tinyFixture } from '../fixtures/tiny-fixture.ts';

const folder = scratchFolder('input-starts');
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

interface Case {
  name: string;
  model: string;
  config: Record<string, unknown>;
  eva: Record<string, unknown>;
}
const cases: Case[] = [
  {
    name: 'all linear layers',
    model: 'untied',
    config: { r: 4, lora_alpha: 8, target_modules: 'all-linear' },
    eva: { rho: 1, tau: 0.9 },
  },
  {
    name: 'whitened, of all positions, with rsLoRA',
    model: 'tied',
    config: { r: 6, lora_alpha: 6, target_modules: ['v_proj', 'down_proj'], use_rslora: true },
    eva: { rho: 1, tau: 0.5, use_label_mask: false, whiten: true },
  },
];

interface Step {
  loss: number;
  grad_norm: number;
}
interface Theirs {
  steps: Step[];
  starts: Record<string, number[]>;
  read: number;
}
const theirs = new Map<string, Theirs>();
const ours = new Map<string, { steps: Step[]; read: number }>();
const scores = new Map<string, PythonScore[]>();
const fixture = await tinyFixture();
const adapterOf = (side: string, name: string) => join(folder, `${name} by ${side}`);
const configOf = ({ config, eva }: Case) => ({ ...config, init_lora_weights: 'eva', eva_config: eva });

before(async () => {
  await writeExamples(trainingFile, 'chat', 100);
  const runs = [];
  for (const each of cases) {
    const { name, model, config, eva } = each;
    const peft = parsePeftConfig({ peft_type: 'LORA', ...configOf(each) });
    const plan = await trainingPlan({ model: fixture.modelFolder(model), trainingFile, peft, training });
    const { plan: pass, examples } = planInputs(plan.data.training, plan.training, {
      virtualTokens: 0,
      arrangement: 'flat',
    });
    runs.push({
      model: fixture.modelFolder(model),
      config,
      eva,
      output: adapterOf('peft', name),
      batches: Array.from({ length: pass.steps }, (_, step) =>
        pass.micro(step, 0).map(({ example }) => plannedExample(examples[example]!, 'CAUSAL_LM', 0)),
      ),
      steps: plan.steps,
      options: plan.training,
    });
    const base = await openBaseModel(fixture.modelFolder(model));
    const steps: Step[] = [];
    let read = 0;
    try {
      const options = { base, baseModelName: 'tiny', trainingFile, peft, training: plan.training };
      for await (const record of train({ ...options, outputDir: adapterOf('graft', name) })) {
        if (record.type === 'inputs') read = record.done;
        if (record.type === 'step') steps.push({ loss: record.loss, grad_norm: record.gradNorm });
      }
      // With a rate of nothing, the files hold the start values.
      const still = { ...plan.training, max_steps: 1, learning_rate: 1e-30 };
      for await (const _ of train({ ...options, training: still, outputDir: adapterOf('start', name) }));
    } finally {
      await base.close();
    }
    ours.set(name, { steps, read });
  }
  const results = await runPythonJson<Theirs>('input_starts.py', [], { runs });
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
    test('the pass ends after as many batches as that of PEFT, before the end of the data', () => {
      const { read } = theirs.get(name)!;
      assert.equal(ours.get(name)!.read, 8 * read);
      assert.ok(8 * read < 100);
    });

    test('A starts at the vectors of PEFT, signs included', async () => {
      const { tensors } = await readAdapter(adapterOf('start', name));
      const { starts } = theirs.get(name)!;
      assert.ok(Object.keys(starts).length > 3);
      for (const [module, expected] of Object.entries(starts)) {
        const { data } = tensors.get(`base_model.model.${module}.lora_A.weight`)!;
        const largest = Math.max(...expected.map(Math.abs));
        for (const [i, value] of expected.entries())
          assert.ok(Math.abs(data[i]! - value) < 1e-3 * largest, `${module} ${i}: ${data[i]} ${value}`);
        const b = tensors.get(`base_model.model.${module}.lora_B.weight`)!;
        assert.ok(b.data.every((value) => Math.abs(value) < 1e-20));
      }
    });

    test('losses and norms of gradients are those of PEFT, within 1e-3', () => {
      const [mine, expected] = [ours.get(name)!.steps, theirs.get(name)!.steps];
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

    test('the files are plain LoRA', async () => {
      const text = await readFile(join(adapterOf('graft', name), 'adapter_config.json'), 'utf8');
      const config = JSON.parse(text);
      assert.equal(config.init_lora_weights, true);
      assert.equal(config.eva_config ?? null, null);
    });

    test('PEFT computes with the files what it computes with its own', () => {
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

    test('Graft computes with the files of both what PEFT computes with them', async () => {
      const { model } = cases.find((each) => each.name === name)!;
      const { inputs } = fixture.scores.find((score) => score.model === model)!;
      const probes = inputs.slice(0, 2).map(({ input_ids }) => input_ids);
      for (const [i, side] of ['graft', 'peft'].entries()) {
        const found = await graftOutputs(fixture.modelFolder(model), adapterOf(side, name), probes);
        const difference = largestDifference(found, scores.get(name)![i]!.logprobs);
        assert.ok(difference < 1e-4, `${side}: ${difference}`);
      }
    });

    test("PEFT's files, which name EVA, are read, and hold what Graft trained", async () => {
      const [mine, expected] = await Promise.all(
        ['graft', 'peft'].map((side) => readAdapter(adapterOf(side, name))),
      );
      assert.deepEqual([...mine!.tensors.keys()].sort(), [...expected!.tensors.keys()].sort());
      for (const [key, { data }] of expected!.tensors) {
        const found = mine!.tensors.get(key)!.data;
        for (const [i, value] of data.entries())
          assert.ok(Math.abs(found[i]! - value) < 2e-3, `${key} ${i}: ${found[i]} ${value}`);
      }
    });
  });
