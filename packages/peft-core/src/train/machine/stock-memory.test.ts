/** Compares the formula of estimate/stock-memory.ts with the memory walk over graphs of the same steps, laid out for a GPU. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveMemory } from '@graft/tf-graph';
import type { JobParts } from '../../estimate/job-parts.ts';
import { peakMemory, variableBytes } from '../../estimate/peak-memory.ts';
import { stockStepBytes } from '../../estimate/stock-memory.ts';
import { sevenBillion } from '../../testing/seven-billion.ts';
import { tinyConfig } from '../../testing/tiny-model.ts';
import { partsOfGraph, recordedUpdate, type TrainingGraph } from '../../testing/training-graph.ts';

const positions = { max_position_embeddings: 8192 };
const models = {
  tiny: { ...tinyConfig, ...positions },
  'SmolLM2-135M, 6 layers': {
    model_type: 'llama',
    hidden_size: 576,
    intermediate_size: 1536,
    num_hidden_layers: 6,
    num_attention_heads: 9,
    num_key_value_heads: 3,
    vocab_size: 49_152,
    tie_word_embeddings: true,
    ...positions,
  },
  '1.1B, 12 layers': {
    model_type: 'llama',
    hidden_size: 2048,
    intermediate_size: 5632,
    num_hidden_layers: 12,
    num_attention_heads: 32,
    num_key_value_heads: 4,
    vocab_size: 32_000,
    tie_word_embeddings: false,
    ...positions,
  },
  'norms around sublayers, 6 layers': {
    model_type: 'gemma3_text',
    hidden_size: 1152,
    intermediate_size: 6912,
    num_hidden_layers: 6,
    num_attention_heads: 4,
    num_key_value_heads: 1,
    vocab_size: 32_000,
    sliding_window: 512,
    ...positions,
  },
  'keys and values of other layers, 6 layers': {
    model_type: 'gemma4_text',
    hidden_size: 1536,
    intermediate_size: 6144,
    num_hidden_layers: 6,
    num_attention_heads: 8,
    num_key_value_heads: 1,
    num_kv_shared_layers: 3,
    layer_types: Array.from({ length: 6 }, (_, i) => (i % 3 === 2 ? 'full_attention' : 'sliding_attention')),
    use_double_wide_mlp: true,
    vocab_size: 32_000,
    vocab_size_per_layer_input: 32_000,
    final_logit_softcapping: 30,
    sliding_window: 512,
    ...positions,
  },
  'fused modules, 3 layers': {
    model_type: 'phi3',
    hidden_size: 3072,
    intermediate_size: 8192,
    num_hidden_layers: 3,
    num_attention_heads: 24,
    num_key_value_heads: 8,
    vocab_size: 32_064,
    partial_rotary_factor: 0.75,
    ...positions,
  },
  'gated delta rules in 6 layers of 8': {
    model_type: 'qwen3_5_text',
    hidden_size: 1024,
    intermediate_size: 3584,
    num_hidden_layers: 8,
    num_attention_heads: 8,
    num_key_value_heads: 2,
    head_dim: 256,
    linear_num_key_heads: 16,
    linear_num_value_heads: 16,
    vocab_size: 32_000,
    tie_word_embeddings: true,
    ...positions,
  },
  'state spaces in 6 layers of 8': {
    model_type: 'granitemoehybrid',
    hidden_size: 1536,
    num_hidden_layers: 8,
    num_attention_heads: 12,
    num_key_value_heads: 4,
    num_local_experts: 0,
    shared_intermediate_size: 4096,
    layer_types: Array.from({ length: 8 }, (_, i) => (i % 4 === 3 ? 'attention' : 'mamba')),
    mamba_n_heads: 48,
    mamba_d_state: 128,
    vocab_size: 32_000,
    tie_word_embeddings: true,
    ...positions,
  },
  '7B, 3 layers': { ...sevenBillion, ...positions, num_hidden_layers: 3 },
};

/** Sizes that are also computed without gradient checkpointing. */
const isMeasuredTwice = (config: object) =>
  config === models['1.1B, 12 layers'] || config === models['norms around sublayers, 6 layers'];

const shapes = [
  [1, 128],
  [4, 512],
  [4, 2048],
  [1, 8192],
] as const;
const stored = [
  ['float32', 'fp32'],
  ['bfloat16', 'bf16'],
  ['nf4', 'bf16'],
  ['int8', 'bf16'],
] as const;

/** Every size with the storage type of most GPU jobs, and every storage type with one size. */
const grid = Object.entries(models).flatMap(([name, config]) =>
  shapes.flatMap(([rows, tokens]) =>
    stored
      .filter(([storage]) => storage === 'bfloat16' || tokens === 512)
      .flatMap(([storage, precision]) =>
        (isMeasuredTwice(config) ? [false, true] : [true]).map((gradient_checkpointing) => ({
          name,
          graph: { config, rows, tokens, storage, precision, training: { gradient_checkpointing } },
        })),
      ),
  ),
);

/** Tolerance: the walk also counts a constant or two. */
const NEXT_TO_NOTHING = 0.5e6;

async function compared(graph: TrainingGraph) {
  const [step] = await recordedUpdate(graph);
  const walk = liveMemory(step!);
  const parts = partsOfGraph(graph);
  return { walk, parts, live: stockStepBytes(parts), variables: variableBytes(parts) };
}

for (const { name, graph } of grid) {
  const { rows, tokens, storage, training } = graph;
  const checkpointed = training.gradient_checkpointing ? ', checkpointed' : '';
  test(`memory of a step by formula: ${name}, ${storage}, ${rows} × ${tokens}${checkpointed}`, async () => {
    const { walk, live, variables } = await compared(graph);
    assert.ok(Math.abs(walk.variables / variables - 1) < 0.02, `${variables} of ${walk.variables}`);
    const found = JSON.stringify(walk.live.slice(0, 5));
    const ratio = (live + variables) / (walk.peak + walk.variables);
    assert.ok(Math.abs(ratio - 1) <= 0.1, `${live} is for ${walk.peak}: ${ratio} with variables; ${found}`);
    const alone = (live + NEXT_TO_NOTHING) / (walk.peak + NEXT_TO_NOTHING);
    assert.ok(Math.abs(alone - 1) <= 0.15, `${live} is ${alone} of ${walk.peak} at ${walk.at}; ${found}`);
  });
}

/** The GPU memory that may be used, in GB: docs/estimates.md. */
const targets = [
  { rows: 4, tokens: 2048, storage: 'bfloat16', most: 26 },
  { rows: 1, tokens: 8192, storage: 'bfloat16', most: 26 },
  { rows: 1, tokens: 2048, storage: 'nf4', most: 9 },
] as const;

for (const { rows, tokens, storage, most } of targets)
  test(`a 7B trains in ${most} GB: ${storage}, ${rows} × ${tokens}, checkpointed`, async () => {
    const config = { ...sevenBillion, ...positions };
    const training = { gradient_checkpointing: true };
    const graph = { config, rows, tokens, storage, precision: 'bf16', training } as const;
    const { walk, parts } = await compared(graph);
    const gigabytes = (bytes: number) => bytes / 1e9;
    assert.ok(gigabytes(walk.variables + walk.peak) <= most, `${walk.variables + walk.peak} by the walk`);
    const onGpu: JobParts = { ...parts, device: 'gpu' };
    assert.ok(gigabytes(peakMemory(onGpu)) <= most, `${peakMemory(onGpu)} by the formula`);
  });

test('of the updates whose norms DoRA needs those of two modules are there at a time', async () => {
  const peft = { peft_type: 'LORA', r: 16, target_modules: 'all-linear', use_dora: true };
  const graph = {
    config: models['1.1B, 12 layers'],
    peft,
    rows: 1,
    tokens: 128,
    storage: 'bfloat16',
  } as const;
  const [step] = await recordedUpdate({ ...graph, precision: 'bf16' });
  const { live } = liveMemory(step!);
  const updates = live.filter(({ shape }) => shape.join() === '5632,2048');
  assert.ok(updates.length <= 4, JSON.stringify(updates));
});
