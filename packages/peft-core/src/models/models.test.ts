import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { openBaseModel } from '../files.ts';
import { buildGenerationProgram } from '../generate/served-models.ts';
import { limitsFor, OneSequence } from '../generate/testing/one-sequence.ts';
import { scoreTexts } from '../index.ts';
import { decoders as families } from '../outlines/decoders.ts';
import { tinyConfigOf, tinyFamilies } from '../testing/tiny-families.ts';
import { tinyConfig, writeTinyModel } from '../testing/tiny-model.ts';
import { loadWeights } from '../weights/load-weights.ts';
import { architectureFor } from './registry.ts';

/** Fields of config.json, with windows shorter than the sequence below. */
const decoders: Record<string, Record<string, unknown>> = {
  llama: { model_type: 'llama' },
  mistral: { model_type: 'mistral', sliding_window: 5, tie_word_embeddings: false },
  'qwen2, a window in its second layer': {
    model_type: 'qwen2',
    use_sliding_window: true,
    sliding_window: 5,
    max_window_layers: 1,
  },
  'qwen3, a window in its first layer': {
    model_type: 'qwen3',
    use_sliding_window: true,
    sliding_window: 7,
    layer_types: ['sliding_attention', 'full_attention'],
  },
  'gemma3_text, a window in its first layer': {
    model_type: 'gemma3_text',
    sliding_window: 7,
    layer_types: ['sliding_attention', 'full_attention'],
  },
  'gemma3, the text part': {
    model_type: 'gemma3',
    text_config: { ...tinyConfig, model_type: 'gemma3_text', sliding_window: 7 },
  },
  'gemma4_text, inputs of layers, keys and values of other layers': tinyFamilies.gemma4_text,
  'gemma4, the text part, keys that are values': {
    model_type: 'gemma4',
    text_config: { ...tinyConfig, ...tinyFamilies.gemma4_text_dense },
  },
  'phi3, a part of each head': { model_type: 'phi3', partial_rotary_factor: 0.75, sliding_window: 9 },
  'smollm3, no rotation in its second layer': { model_type: 'smollm3', no_rope_layers: [1, 0] },
  granite: {
    model_type: 'granite',
    embedding_multiplier: 3,
    attention_multiplier: 0.2,
    residual_multiplier: 0.4,
    logits_scaling: 2,
  },
  'olmo3, a window in its first layer': {
    model_type: 'olmo3',
    sliding_window: 7,
    layer_types: ['sliding_attention', 'full_attention'],
  },
  'ministral3, past its first span': {
    model_type: 'ministral3',
    rope_parameters: {
      rope_type: 'yarn',
      rope_theta: 10000,
      factor: 8,
      original_max_position_embeddings: 16,
      llama_4_scaling_beta: 0.1,
    },
  },
  'qwen3_moe, experts in its second layer': {
    model_type: 'qwen3_moe',
    num_experts: 6,
    num_experts_per_tok: 2,
    moe_intermediate_size: 24,
    mlp_only_layers: [0],
    norm_topk_prob: true,
  },
  gpt2: { model_type: 'gpt2', n_embd: 32, n_layer: 2, n_head: 4, n_positions: 256 },
  qwen3_5_moe_text: { ...tinyFamilies.qwen3_next, model_type: 'qwen3_5_moe_text' },
  'granitemoehybrid, experts': tinyFamilies.granitemoehybrid,
  'granitemoehybrid, without experts, rotated, two groups': {
    ...tinyFamilies.granitemoehybrid,
    num_local_experts: 0,
    position_embedding_type: 'rope',
    mamba_n_groups: 2,
  },
};
/** Text decoders as in `testing/tiny-families.ts`, where no row above has another form of them. */
const others = Object.entries(families).flatMap(([type, { textGguf }]) =>
  textGguf || Object.values(decoders).some(({ model_type }) => model_type === type) ? [] : [type],
);
for (const type of others) decoders[type] = tinyConfigOf(type);
const ids = Array.from({ length: 40 }, (_, i) => (i * 37 + 11) % 256);

let root: string;
before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-models-'));
});
after(() => rm(root, { recursive: true }));

for (const [name, config] of Object.entries(decoders)) {
  test(`${name}: a token at a time or many at once, with a cache, scores what the whole sequence scores`, async () => {
    const folder = path.join(root, name);
    await writeTinyModel(folder, config);
    const base = await openBaseModel(folder);
    const architecture = architectureFor(base.modelType, base.config);
    const scored = scoreTexts({ base, input: [{ input_ids: ids }] });
    const expected = (await scored.next()).value!.logprobs;
    await scored.return(undefined);

    const { program, clear, attach } = buildGenerationProgram(architecture, limitsFor(64));
    await loadWeights(program, base, architecture, 'float32');
    const model = attach(null);
    for (const first of [1, 16]) {
      await clear();
      const sequence = new OneSequence({ model, updates: null }, 64);
      const logprobs: number[] = [];
      for (let start = 0; start < ids.length - 1; start += start === 0 ? first : 1) {
        const stride = start === 0 ? first : 1;
        const logits = sequence.append(ids.slice(start, start + stride));
        logprobs.push(logProbability(logits, ids[start + stride]!));
      }
      const differences = logprobs.map((x, i) => Math.abs(x - expected[i + first - 1]!));
      assert.equal(logprobs.length, ids.length - first);
      assert.ok(Math.max(...differences) < 1e-4, `differ by ${Math.max(...differences)}`);
    }
    program.close();
    await base.close();
  });
}

const t5 = { model_type: 't5', d_model: 32, d_kv: 12, d_ff: 48, num_layers: 2, num_heads: 4 };
for (const [name, config] of Object.entries({
  't5, plain': { ...t5, num_decoder_layers: 3 },
  't5, gated and unscaled': { ...t5, feed_forward_proj: 'gated-gelu', scale_decoder_outputs: false },
})) {
  test(`${name}: read once, a token at a time scores what the whole pair scores`, async () => {
    const folder = path.join(root, name);
    await writeTinyModel(folder, { ...config, relative_attention_num_buckets: 8 });
    const base = await openBaseModel(folder);
    const architecture = architectureFor(base.modelType, base.config);
    const labels = ids.slice(0, 30).reverse();
    // Another input, longer or shorter than the first, must leave no state behind.
    const inputs = [ids, [...ids, ...ids], ids.slice(0, 5)];
    const scores = scoreTexts({ base, input: inputs.map((input_ids) => ({ input_ids, labels })) });
    const { program, clear, attach } = buildGenerationProgram(architecture, limitsFor(96));
    await loadWeights(program, base, architecture, 'float32');
    await clear();
    const model = attach(null);
    for (const input of inputs) {
      const { logprobs: expected } = (await scores.next()).value as { logprobs: number[] };
      const sequence = new OneSequence({ model, updates: null }, 96, input);
      const read = [architecture.decoderStart!, ...labels.slice(0, -1)];
      const logprobs = read.map((id, t) => logProbability(sequence.append([id]), labels[t]!));
      const differences = logprobs.map((x, t) => Math.abs(x - expected[t]!));
      assert.equal(expected.length, labels.length);
      assert.ok(Math.max(...differences) < 1e-4, `differ by ${Math.max(...differences)}`);
    }
    await scores.return(undefined);
    program.close();
    await base.close();
  });
}

function logProbability(logits: Float32Array, id: number): number {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  return logits[id]! - largest - Math.log(logits.reduce((sum, x) => sum + Math.exp(x - largest), 0));
}
