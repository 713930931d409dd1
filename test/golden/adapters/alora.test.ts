/**
 * Activated LoRA: losses of twenty steps, the trained adapters' outputs and greedy answers are those of PyTorch and HF PEFT, where the
 * invocation is in the prompt, in what examples share, in the completion, several times, or, for answers, nowhere.
 */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { openGenerator } from '@graft/peft-core';
import { openBaseModel, readAllTensors } from '@graft/peft-core/files';
import { loadTokenizer } from '@graft/peft-core/text';
import { runPythonJson } from '../../../scripts/golden/environment/run-python.ts';
import { graftOutputs, largestDifference } from '../fixtures/graft-outputs.ts';
import { scoreInPython } from '../fixtures/score-in-python.ts';
import { scratchFolder } from '../fixtures/scratch-folder.ts';
import { compareTrainings, type TrainingCase } from '../fixtures/training-comparison.ts';

const folder = scratchFolder('alora');
const decoder = {
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 512,
  bos_token_id: 1,
  eos_token_id: 2,
  pad_token_id: 3,
};
const models = {
  llama: { ...decoder, model_type: 'llama' },
  qwen3: { ...decoder, model_type: 'qwen3', head_dim: 32 },
};
const modelOf = (name: string) => join(folder, name);
await runPythonJson('matrix_models.py', [], {
  models: Object.entries(models).map(([name, config], i) => ({
    output: modelOf(name),
    task: 'CAUSAL_LM',
    config,
    seed: 70 + i,
  })),
  adapters: [],
});

const base = await openBaseModel(modelOf('llama'));
const tokenizer = loadTokenizer(base.tokenizerFiles);
await base.close();
const invocation = tokenizer.encode(' Answer now:', { addSpecialTokens: false });
assert.ok(invocation.length > 1);

const start = 'Trees grow in rows behind the house, and each of them was grafted twice.';
const colours = ['red', 'dark blue', 'pale yellow', 'brown'];
const examples = Array.from({ length: 24 }, (_, i) => {
  const colour = colours[(i * 3) % 4]!;
  const kinds = [
    {
      prompt: `${start} Row ${i} is ${colour}. Answer now:`,
      completion: ` its number is ${i}, and it is ${colour}.`,
    },
    // In what several examples share.
    { prompt: `${start} Answer now: which is row ${i}?`, completion: ` The ${colour} one.` },
    {
      prompt: `${start} Answer now: which is row ${i}? Answer now:`,
      completion: ` the ${colour} one, or ${i}.`,
    },
    { prompt: `Row ${i}.`, completion: ` It is ${colour}. Answer now: how many ${colour} trees has it?` },
  ];
  return kinds[i % 4]!;
});
const trainingFile = join(folder, 'examples.jsonl');
await writeFile(trainingFile, examples.map((example) => JSON.stringify(example)).join('\n'));

const training = { precision: 'fp32', max_steps: 20, n_epochs: 20, batch_size: 8, learning_rate: 1e-2 };
const cases: TrainingCase[] = Object.keys(models).map((name) => ({
  name,
  model: modelOf(name),
  trainingFile,
  config: {
    r: 4,
    lora_alpha: 16,
    target_modules: name === 'llama' ? 'all-linear' : ['q_proj', 'k_proj', 'v_proj'],
    alora_invocation_tokens: invocation,
  },
  training: { ...training, ...(name === 'qwen3' ? { gradient_checkpointing: true } : {}) },
}));
const comparisons = await compareTrainings(cases, folder);

const prompts = {
  'invoked at its end': `${start} Row 3 is brown. Answer now:`,
  'invoked twice': `${start} Answer now: which is row 5? Answer now:`,
  'invoked in its middle': `${start} Answer now: which is row 7?`,
  'not invoked': `${start} Row 9 is red.`,
};
const probes = Object.values(prompts).map((prompt) => tokenizer.encode(prompt));
/** For each model the log-probabilities and greedy answers of its trained adapter by PEFT, one prompt a run. */
const references = await scoreInPython(
  comparisons.flatMap(({ model, graft }) =>
    probes.map((ids) => ({ model, adapter: graft.adapter, inputs: [ids] })),
  ),
);
const endOfText = 2;

for (const { name, graft, peft } of comparisons)
  describe(name, () => {
    test('twenty steps as PEFT does them', () => {
      assert.equal(graft.steps.length, 20);
      for (const [i, expected] of peft.steps.entries()) {
        const actual = graft.steps[i]!;
        const where = `step ${i + 1}: ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`;
        assert.ok(Math.abs(actual.loss - expected.loss) < 1e-3, where);
        assert.ok(Math.abs(actual.grad_norm / expected.grad_norm - 1) < 1e-2, where);
      }
      const losses = peft.steps.map((step) => step.loss);
      assert.ok(losses.at(-1)! < losses[0]! - 0.05, `nothing was learned: ${losses.join(' ')}`);
    });
    test('the files are those of PEFT', async () => {
      const [own, expected] = await Promise.all(
        [graft, peft].map(({ adapter }) => readAllTensors(join(adapter, 'adapter_model.safetensors'))),
      );
      assert.deepEqual([...own!.keys()].sort(), [...expected!.keys()].sort());
      for (const [key, { data }] of expected!) {
        const values = own!.get(key)!.data;
        const furthest = data.reduce((most, value, i) => Math.max(most, Math.abs(value - values[i]!)), 0);
        assert.ok(furthest < 1e-3, `${key} is off by ${furthest}`);
      }
      const config = async (dir: string) =>
        JSON.parse(await readFile(join(dir, 'adapter_config.json'), 'utf8'));
      assert.deepEqual((await config(graft.adapter)).alora_invocation_tokens, invocation);
    });
    const index = comparisons.findIndex((each) => each.name === name) * probes.length;
    const expected = references.slice(index, index + probes.length);
    test('log-probabilities are those of PEFT within 1e-4', async () => {
      const found = await graftOutputs(modelOf(name), graft.adapter, probes);
      assert.ok(
        largestDifference(
          found,
          expected.map(({ logprobs }) => logprobs[0]!),
        ) < 1e-4,
      );
      assert.deepEqual(expected[0]!.mismatch, { missing: [], unexpected: [], shapes: [], values: [] });
    });
    test('greedy answers are those of PEFT, after the base and alone', async (t) => {
      const model = await openBaseModel(modelOf(name));
      const generator = await openGenerator({ base: model, context: 128 });
      t.after(async () => {
        await generator.close();
        await model.close();
      });
      const answers: number[][] = [];
      for (const [i, [kind, prompt]] of Object.entries(prompts).entries()) {
        const wanted = expected[i]!.greedy.filter((id) => id !== endOfText);
        const said: number[][] = [];
        for (const adapter of [null, graft.adapter]) {
          const found: number[] = [];
          for await (const { tokenId } of generator.generate({ adapter, prompt, max_tokens: 8 }))
            if (tokenId !== -1) found.push(tokenId);
          said.push(found);
        }
        assert.deepEqual(said[1], wanted, kind);
        if (kind === 'not invoked')
          assert.deepEqual(said[0], wanted, 'the adapter is active without an invocation');
        answers.push(said[0]!);
      }
      assert.ok(
        answers.some((each, i) => each.join() !== expected[i]!.greedy.join()),
        'the adapter changes nothing',
      );
    });
  });
