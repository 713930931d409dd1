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
    name: 'redistributed ranks',
    model: 'untied',
    config: { r: 4, lora_alpha: 8, target_modules: 'all-linear', alpha_pattern: { o_proj: 4 } },
    eva: { rho: 2, tau: 0.8 },
  },
  {
    name: 'redistributed ranks, whitened, of all positions',
    model: 'tied',
    // Modules with one input share their vectors in PEFT, which divides them in place, once for each module.
    config: { r: 3, lora_alpha: 6, target_modules: ['q_proj', 'o_proj', 'gate_proj', 'down_proj'] },
    eva: { rho: 1.5, tau: 0.7, use_label_mask: false, whiten: true },
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
  const results = await runPythonJson<Theirs>('principal_starts.py', [], { runs });
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

    test('A starts at the vectors of PEFT, signs included, and the rows that PEFT leaves out at zero', async () => {
      const { tensors } = await readAdapter(adapterOf('start', name));
      const { starts } = theirs.get(name)!;
      const modules = [...tensors.keys()].flatMap(
        (key) => /^base_model\.model\.(.*)\.lora_A/.exec(key)?.[1] ?? [],
      );
      assert.ok(modules.length > 3);
      for (const module of Object.keys(starts)) assert.ok(modules.includes(module), module);
      for (const module of modules) {
        // PEFT has no adapter where no direction is left.
        const expected = starts[module] ?? [];
        const { data } = tensors.get(`base_model.model.${module}.lora_A.weight`)!;
        const largest = Math.max(0, ...expected.map(Math.abs));
        for (const [i, value] of data.entries()) {
          const own = expected[i] ?? 0;
          // Directions of nearly the same size turn with the rounding of the inputs.
          assert.ok(Math.abs(value - own) <= 5e-3 * largest, `${module} ${i}: ${value} ${own}`);
        }
        const b = tensors.get(`base_model.model.${module}.lora_B.weight`)!;
        assert.ok(b.data.every((value) => Math.abs(value) < 1e-20));
      }
      const ranks = new Set(Object.values(starts).map(({ length }) => length));
      if (name.startsWith('redistributed')) assert.ok(ranks.size > 3, [...ranks].join());
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

    test("PEFT's files, which name EVA, are read, and hold what Graft trained, which has zeros beside it", async () => {
      const [mine, expected] = await Promise.all(
        ['graft', 'peft'].map((side) => readAdapter(adapterOf(side, name))),
      );
      for (const [key, { data, shape }] of mine!.tensors) {
        const columns = shape[1]!;
        const theirs = expected!.tensors.get(key);
        const width = theirs?.shape[1] ?? 0;
        for (const [i, value] of data.entries()) {
          const [row, column] = [Math.floor(i / columns), i % columns];
          const own = column < width && row < theirs!.shape[0]! ? theirs!.data[row * width + column]! : 0;
          assert.ok(Math.abs(value - own) < (own === 0 ? 1e-30 : 2e-3), `${key} ${i}: ${value} ${own}`);
        }
      }
    });
  });
