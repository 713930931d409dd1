/**
 * Training on preferences: twenty steps are those of TRL's trainers, and so is the adapter at the end. Both sides read the same texts and
 * tokenise them themselves. The data avoid what the two do differently:
 * - TRL trains on all that a chat template writes after the prompt, such as the line break after a turn's end; Graft on what the model
 *   generates.
 * - A token that would span the end of a prompt belongs to TRL's completion, for which the prompt is cut; Graft tokenises both apart.
 * - Of a step in several batches TRL's loss is the mean of their means; in Graft's each pair counts the same, also if the last batch is
 *   smaller.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { readAllTensors } from '@graft/peft-core/files';
import { runPython } from '../../scripts/golden/environment/run-python.ts';
import { largestDifference } from './fixtures/graft-outputs.ts';
import {
  comparePreferences,
  type LoggedStep,
  type PreferenceCase,
} from './fixtures/preference-comparison.ts';
import { scratchFolder } from './fixtures/scratch-folder.ts';

const steps = 20;
const batch = 4;
const folder = scratchFolder('preferences');

const config = { peft_type: 'LORA', task_type: 'CAUSAL_LM', r: 4, lora_alpha: 8 };
/** The adapters that training starts from. No tensor of theirs is zero, so that each one matters. */
const starts = {
  llama: { model: 'llama', config: { ...config, target_modules: ['q_proj', 'v_proj', 'down_proj'] } },
  qwen3: { model: 'qwen3', config: { ...config, target_modules: ['k_proj', 'o_proj', 'up_proj'] } },
  head: { model: 'qwen3', config: { ...config, target_modules: ['q_proj'], modules_to_save: ['lm_head'] } },
} as const;
type Start = keyof typeof starts;
const modelFolder = (model: keyof typeof models) => join(folder, model);
const adapterFolder = (start: Start) => join(folder, `${start}-start`);
const shape = {
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
  llama: { ...shape, model_type: 'llama', tie_word_embeddings: true },
  qwen3: { ...shape, model_type: 'qwen3', head_dim: 24, tie_word_embeddings: false },
};
await runPython('matrix_models.py', [], {
  models: Object.entries(models).map(([name, config], i) => ({
    output: join(folder, name),
    config,
    task: 'CAUSAL_LM',
    seed: 60 + i,
  })),
  adapters: Object.entries(starts).map(([name, { model, config }], i) => ({
    model: modelFolder(model),
    task: 'CAUSAL_LM',
    config,
    output: adapterFolder(name as Start),
    seed: 70 + i,
  })),
});

/** The last batch has two pairs. */
const count = steps * batch - 2;
const trees = ['red', 'dark blue', 'pale yellow', 'brown'];
const system = 'You answer gardeners, and never in more than a few words.';
const questions = Array.from({ length: count }, (_, i) => {
  // Every seventh prompt occurs twice.
  const tree = i % 7 === 6 ? i - 1 : i;
  return `How many ${trees[tree % trees.length]} plums grow on tree ${tree}?`;
});
const good = (i: number) => `${i * 3} plums${', and they are ripe'.repeat(i % 3)}.`;
const bad = (i: number) =>
  i % 4 === 1 ? 'No.' : `Who knows, ${i} or so${' 🙂, or none of them'.repeat(i % 2)}!`;
const pairs = questions.map((question, i) => ({
  prompt: i % 3 === 0 ? `${system} ${question}` : question,
  chosen: ` ${good(i)}`,
  rejected: ` ${bad(i)}`,
}));
const judged = questions.map((prompt, i) => {
  const label = i % 5 < 2;
  return { prompt, completion: ` ${label ? good(i) : bad(i)}`, label };
});
const chats = questions.map((content, i) => ({
  prompt: [...(i % 3 === 0 ? [{ role: 'system', content: system }] : []), { role: 'user', content }],
  chosen: [{ role: 'assistant', content: good(i) }],
  rejected: [{ role: 'assistant', content: bad(i) }],
}));
/**
 * Text after a turn's end, as the line break of most templates, is a target for TRL and none for Graft, which trains on what the model
 * generates. This template writes it before the next turn.
 */
const chatTemplate =
  "{% for message in messages %}{{ ('' if loop.first else '\n') + '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '\n<|im_start|>assistant\n' }}{% endif %}";

const common = {
  precision: 'fp32',
  n_epochs: 1,
  max_steps: steps,
  batch_size: batch,
  learning_rate: 2e-3,
  weight_decay: 0.02,
  lr_scheduler_type: 'linear',
  warmup_steps: 3,
};

function caseOf(
  name: string,
  method: PreferenceCase['method'],
  start: Start,
  preference: Record<string, unknown>,
  more: Partial<Pick<PreferenceCase, 'reference' | 'lines' | 'training'>> = {},
): PreferenceCase {
  const { reference = 'base', lines = pairs, training = {} } = more;
  return {
    name,
    method,
    model: modelFolder(starts[start].model),
    config: starts[start].config,
    adapter: adapterFolder(start),
    reference,
    lines,
    training: { ...common, ...training, preference },
  };
}

const cases: PreferenceCase[] = [
  caseOf('dpo', 'dpo', 'llama', {}),
  caseOf('dpo of qwen3', 'dpo', 'qwen3', { beta: 0.5 }),
  caseOf('dpo that continues a version', 'dpo', 'qwen3', { beta: 0.3 }, { reference: 'adapter' }),
  caseOf('dpo with hinge', 'dpo', 'qwen3', { loss_type: 'hinge', beta: 0.05 }),
  caseOf('dpo with ipo', 'dpo', 'llama', { loss_type: 'ipo' }),
  caseOf('dpo with robust', 'dpo', 'qwen3', { loss_type: 'robust', label_smoothing: 0.1 }),
  caseOf('dpo with sigmoid_norm', 'dpo', 'llama', { loss_type: 'sigmoid_norm', beta: 2 }),
  caseOf('dpo with sft', 'dpo', 'llama', { loss_type: ['sigmoid', 'sft'], loss_weights: [1, 0.3] }),
  caseOf(
    'dpo that accumulates',
    'dpo',
    'llama',
    { loss_type: ['sigmoid', 'sft'], loss_weights: [1, 0.3] },
    {
      lines: [...pairs, ...pairs].slice(0, steps * batch),
      training: { batch_size: 2, gradient_accumulation_steps: 2 },
    },
  ),
  caseOf('dpo on chats', 'dpo', 'qwen3', {}, { lines: chats, training: { chat_template: chatTemplate } }),
  caseOf('dpo with a trained head', 'dpo', 'head', { beta: 0.2 }),
  caseOf('orpo', 'orpo', 'llama', {}),
  caseOf('orpo with a trained head', 'orpo', 'head', { beta: 0.5 }),
  caseOf('orpo of qwen3', 'orpo', 'qwen3', { beta: 1 }, { reference: 'adapter' }),
  caseOf('simpo', 'simpo', 'qwen3', { cpo_alpha: 0 }),
  caseOf('simpo with likelihood', 'simpo', 'llama', { cpo_alpha: 1, beta: 3, simpo_gamma: 1 }),
  caseOf('kto', 'kto', 'llama', {}, { lines: judged }),
  caseOf(
    'kto that continues a version',
    'kto',
    'qwen3',
    { beta: 0.5, desirable_weight: 1.5, undesirable_weight: 0.7 },
    { lines: judged, reference: 'adapter' },
  ),
  caseOf('kto on pairs', 'kto', 'qwen3', { beta: 0.3 }, { lines: pairs.slice(0, count / 2) }),
];

/** Metrics that both sides log for each method, besides loss, learning rate and norm of the gradient. */
const rewards = ['rewards/chosen', 'rewards/rejected', 'rewards/margins', 'logps/chosen', 'logps/rejected'];
const metrics: Record<PreferenceCase['method'], string[]> = {
  dpo: [...rewards, 'rewards/accuracies', 'mean_token_accuracy'],
  orpo: [...rewards, 'rewards/accuracies', 'log_odds_ratio', 'log_odds_chosen'],
  simpo: [...rewards, 'rewards/accuracies'],
  kto: [...rewards, 'kl'],
};

for (const [i, { name, graft, trl }] of (await comparePreferences(cases, folder)).entries()) {
  const { method, training } = cases[i]!;
  // For a step in several batches TRL logs the mean of their accuracies, and Graft that of all tokens.
  const compared = metrics[method].filter(
    (key) => key !== 'mean_token_accuracy' || training.gradient_accumulation_steps === undefined,
  );
  test(`${name}: ${steps} steps as TRL does them`, () => {
    assert.equal(trl.steps.length, steps);
    assert.equal(graft.steps.length, steps);
    for (const [n, expected] of trl.steps.entries()) {
      const actual: LoggedStep = graft.steps[n]!;
      const where = (key: string) =>
        `${key} of step ${n + 1}: ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`;
      for (const key of ['loss', ...compared]) {
        // A batch of kto may have no desirable completion, and then neither side has its metrics.
        if (actual[key] === undefined && expected[key] === undefined) continue;
        // As long as the model is its own reference, rounding decides which completion it prefers.
        if (key === 'rewards/accuracies' && expected['rewards/margins'] === 0) continue;
        assert.ok(Math.abs(actual[key]! - expected[key]!) < 1e-3, where(key));
      }
      assert.ok(Math.abs(actual.learning_rate! - expected.learning_rate!) < 1e-9, where('learning_rate'));
      // The hinge has no slope left in some steps.
      const near = 1e-2 * expected.grad_norm! + 1e-6;
      assert.ok(Math.abs(actual.grad_norm! - expected.grad_norm!) < near, where('grad_norm'));
    }
    const margins = trl.steps.flatMap((step) => step['rewards/margins'] ?? []);
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    assert.ok(
      mean(margins.slice(-5)) > mean(margins.slice(0, 5)),
      `nothing was learned: ${margins.join(' ')}`,
    );
  });
  test(`${name}: the adapter is TRL's`, async () => {
    const [own, expected] = await Promise.all(
      [graft, trl].map(({ adapter }) => readAllTensors(join(adapter, 'adapter_model.safetensors'))),
    );
    assert.deepEqual([...own!.keys()].sort(), [...expected!.keys()].sort());
    for (const [key, { data }] of expected!) {
      const values = own!.get(key)!.data;
      const furthest = data.reduce((most, value, i) => Math.max(most, Math.abs(value - values[i]!)), 0);
      assert.ok(furthest < 1e-3, `${key} is off by ${furthest}`);
    }
    const outputs = largestDifference(graft.logprobs, trl.logprobs);
    assert.ok(outputs < 1e-4, `log-probabilities are off by ${outputs}`);
  });
}
