/** Compares training with kernels on lists of positions with the same training on stock operations and a grid. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { scalarOf, useKernels } from '@graft/tf-graph';
import { type BatchLayout, fillBatch, planTraining } from '../../examples/index.ts';
import { type BaseModel, openBaseModel } from '../../files.ts';
import type { Implementation, MatmulPrecision } from '../../nn/computation.ts';
import { tinyFamilies } from '../../testing/tiny-families.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { trainOptions } from '../../testing/train-adapter.ts';
import { loadWeights } from '../../weights/load-weights.ts';
import { feedsOf } from '../objectives/losses.ts';
import { learningRateAt, optimizerScalars } from '../run-step.ts';
import { setUpTraining } from '../setup.ts';
import { startValues } from '../start-values.ts';
import { buildTrainProgram } from '../train-program.ts';

const steps = 20;
let root: string;
/** Data files by task and by whether the examples have equal lengths. */
const files: Record<string, string> = {};

before(async () => {
  useKernels('auto');
  root = await mkdtemp(path.join(tmpdir(), 'graft-kernels-'));
  const write = async (name: string, lines: object[]) => {
    files[name] = path.join(root, `${name}.jsonl`);
    await writeFile(files[name], lines.map((line) => JSON.stringify(line)).join('\n'));
  };
  // Chats with two different system prompts, and some without one.
  const systems = ['Answer in one word, and be kind.', 'You sell bicycles and know all of them.', null];
  const chat = (system: string | null | undefined, content: string, answer: string) => {
    const own = [
      { role: 'user', content },
      { role: 'assistant', content: answer },
    ];
    return { messages: system ? [{ role: 'system', content: system }, ...own] : own };
  };
  const all = Array.from({ length: 28 }, (_, i) => i);
  await write(
    'CAUSAL_LM uneven',
    all.map((i) =>
      chat(systems[i % 3], `${'why '.repeat(i % 4)}${i}?`, `it is ${i % 5}${'!'.repeat(i % 3)}`),
    ),
  );
  const two = (i: number) => String(i).padStart(2, '0');
  await write(
    'CAUSAL_LM even',
    all.map((i) => chat(null, two(i), two(i % 5))),
  );
  for (const [data, text] of [
    ['uneven', (i: number) => `${'so '.repeat(i % 5)}${i}${'!'.repeat(i % 3)}`],
    ['even', two],
  ] as const) {
    await write(
      `SEQ_CLS ${data}`,
      all.map((i) => ({ text: text(i), label: i % 3 ? 'calm' : 'loud' })),
    );
    await write(
      `SEQ_2_SEQ_LM ${data}`,
      all.map((i) => ({ prompt: text(i), completion: text(i % 5) })),
    );
  }
});
after(async () => await rm(root, { recursive: true }));

interface Way {
  implementation: Implementation;
  arrangement: BatchLayout;
  precision?: MatmulPrecision;
}

/** Trains and returns the losses and gradient norms of each step, the final adapter, and properties of the program. */
async function trained(base: BaseModel, peft: Record<string, unknown>, way: Way, lengths = 'uneven') {
  const { implementation, arrangement, precision = 'fp32' } = way;
  const trainingFile = files[`${peft.task_type ?? 'CAUSAL_LM'} ${lengths}`]!;
  const options = trainOptions({
    base,
    trainingFile,
    exampleCount: 28,
    peft,
    outputDir: path.join(root, 'adapter'),
    training: { n_epochs: 10, max_steps: steps, learning_rate: 0.01, batch_size: 7 },
  });
  const { training } = options;
  const setup = await setUpTraining(options);
  const { architecture, objective, data } = setup;
  const layout = { ...setup.layout, arrangement };
  const plan = planTraining(data.training, training, layout);
  const built = buildTrainProgram({
    architecture,
    objective,
    peft: options.peft,
    form: 'trained',
    training,
    storage: 'float32',
    precision,
    implementation,
    grid: plan.shape,
    evaluationGrid: null,
  });
  const { program, model, update, varies } = built;
  assert.ok('step' in update);
  try {
    await loadWeights(program, base, architecture, 'float32', { stacks: model.stacks });
    const start = await startValues(model, base, { ...options, seed: training.seed });
    const zeros = new Float32Array(start.length);
    await program.write([
      ['adapter', start],
      ['exp_avg', zeros],
      ['exp_avg_sq', zeros],
    ]);
    const losses: number[] = [];
    const norms: number[] = [];
    for (let step = 0; step < steps; step++) {
      const batch = fillBatch(plan, data.training, step, 0, layout);
      const scalars = optimizerScalars(training, learningRateAt(training, step, steps), step + 1);
      const feeds = feedsOf(objective, batch, batch.labelCount, varies);
      const out = program.run(update.step, {
        ...feeds,
        ...scalars,
        seed: Int32Array.of(training.seed, step),
      });
      losses.push(scalarOf(out.loss));
      norms.push(scalarOf(out.norm));
    }
    const adapter = program.read(['adapter']).get('adapter') as Float32Array;
    return { losses, norms, adapter, varies, stacks: model.stacks.length, positions: plan.shape.tokens };
  } finally {
    program.close();
  }
}

const furthest = (a: number[], b: number[]) =>
  a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!) / Math.abs(b[i]!)), 0);

const shared = { implementation: 'kernels', arrangement: 'shared' } as const;
const lora = { peft_type: 'LORA', r: 4, target_modules: 'all-linear' };

/** The examples are longer than the first span. */
const growing = {
  rope_type: 'yarn',
  rope_theta: 10000,
  factor: 16,
  original_max_position_embeddings: 16,
  llama_4_scaling_beta: 0.1,
};
/** Sequences of more than 20 tokens have other frequencies; the examples are shorter and longer. */
const longRope = {
  model_type: 'phi3',
  original_max_position_embeddings: 20,
  rope_parameters: {
    rope_type: 'longrope',
    rope_theta: 10000,
    short_factor: [1, 1.5, 2, 2.5],
    long_factor: [4, 5, 6, 7],
  },
};

/**
 * Grouped-query attention; biases; norms over heads; a window shorter than the examples; norms around sublayers; norms of outputs and over
 * projections; keys and values of other layers, and keys that are values; factors; fused modules and partial rotation; layers without rotation; queries that grow; learned positions.
 */
const models: Record<string, Record<string, unknown>> = {
  llama: {},
  qwen2: { model_type: 'qwen2' },
  qwen3: { model_type: 'qwen3' },
  mistral: { model_type: 'mistral', sliding_window: 24 },
  gemma3_text: {
    model_type: 'gemma3_text',
    sliding_window: 24,
    layer_types: ['sliding_attention', 'full_attention'],
  },
  'gemma4_text, like E2B': tinyFamilies.gemma4_text,
  'gemma4_text, like 31B': tinyFamilies.gemma4_text_dense,
  olmo2: { model_type: 'olmo2' },
  granite: {
    model_type: 'granite',
    embedding_multiplier: 3,
    attention_multiplier: 0.2,
    residual_multiplier: 0.4,
    logits_scaling: 2,
  },
  phi3: { model_type: 'phi3', partial_rotary_factor: 0.75 },
  smollm3: { model_type: 'smollm3', no_rope_layers: [1, 0] },
  ministral3: { model_type: 'ministral3', rope_parameters: growing },
  gpt2: tinyFamilies.gpt2,
};

for (const [family, config] of Object.entries(models)) {
  test(`${family}: kernels on shared lists give what stock operations on a grid give, step by step`, async () => {
    await withModel(family, config, async (base) => {
      const reference = await trained(base, lora, { implementation: 'stock', arrangement: 'grid' });
      const flat = await trained(base, lora, { implementation: 'kernels', arrangement: 'flat' });
      const kernels = await trained(base, lora, shared);
      const stock = await trained(base, lora, { implementation: 'stock', arrangement: 'shared' });
      assert.ok(furthest(kernels.losses, flat.losses) < 1e-5, 'shared and not');
      for (const way of [flat, kernels, stock]) {
        const off = (of: 'losses' | 'norms', count?: number) =>
          furthest(way[of].slice(0, count), reference[of].slice(0, count));
        assert.ok(off('losses', 10) < 1e-5, `losses: ${off('losses', 10)}`);
        assert.ok(off('norms', 10) < 1e-3, `gradients: ${off('norms', 10)}`);
        // Differences of a processor's rounding grow with the steps.
        assert.ok(off('losses') < 1e-4, `later losses: ${off('losses')}`);
        assert.ok(off('norms') < 1e-2, `later gradients: ${off('norms')}`);
      }
      assert.ok(kernels.positions < 0.8 * flat.positions, `${kernels.positions} of ${flat.positions}`);
      assert.deepEqual([kernels.varies, stock.varies], [true, false]);
      const again = await trained(base, lora, shared);
      assert.deepEqual(again.losses, kernels.losses, 'bit for bit');
      assert.deepEqual(again.adapter, kernels.adapter, 'bit for bit');
      const narrow = await trained(base, lora, { ...shared, precision: 'bf16' });
      assert.ok(furthest(narrow.losses, reference.losses) < 0.05, 'in bfloat16');
    });
  });
}

/** Models that share no prefixes: each reads its text in both directions, carries a state, or has dropout. */
const others: Record<string, [config: Record<string, unknown>, peft: Record<string, unknown>]> = {
  bert: [tinyFamilies.bert, { task_type: 'SEQ_CLS' }],
  't5, gated': [tinyFamilies.t5, { task_type: 'SEQ_2_SEQ_LM' }],
  't5, plain': [
    { ...tinyFamilies.t5, feed_forward_proj: 'relu', relative_attention_max_distance: 20 },
    { task_type: 'SEQ_2_SEQ_LM' },
  ],
  'layers with a state': [tinyFamilies.qwen3_5_text, {}],
  'gpt2 with DoRA': [tinyFamilies.gpt2, { use_dora: true }],
  'llama with DoRA': [{}, { use_dora: true }],
  // The bytes of ": ", which are last before an answer.
  'llama, active from an invocation': [{}, { alora_invocation_tokens: [58, 32] }],
  'layers with a state, active from an invocation': [
    tinyFamilies.qwen3_5_text,
    { alora_invocation_tokens: [58, 32] },
  ],
  'phi3, frequencies by length': [longRope, {}],
  'llama with MISS': [{}, { peft_type: 'MISS', r: 5 }],
  'qwen2 with MISS by blocks': [{ model_type: 'qwen2' }, { peft_type: 'MISS', init_weights: 'bat' }],
  'qwen2 with OFT': [{ model_type: 'qwen2' }, { peft_type: 'OFT', oft_block_size: 0 }],
  'gpt2 with HIRA': [tinyFamilies.gpt2, { peft_type: 'HIRA' }],
  'qwen2 with LOKR': [{ model_type: 'qwen2' }, { peft_type: 'LOKR' }],
  'gpt2 with VERA': [tinyFamilies.gpt2, { peft_type: 'VERA' }],
};

for (const [name, [config, options]] of Object.entries(others)) {
  test(`${name}: kernels on lists give what stock operations on a grid give, step by step`, async () => {
    await withModel(name, config, async (base) => {
      const peft = { ...lora, ...options };
      const reference = await trained(base, peft, { implementation: 'stock', arrangement: 'grid' });
      const flat = await trained(base, peft, { implementation: 'kernels', arrangement: 'flat' });
      assert.ok(furthest(flat.losses, reference.losses) < 1e-5, 'losses');
      assert.ok(furthest(flat.norms, reference.norms) < 1e-3, 'gradients');
      const narrow = await trained(base, peft, {
        implementation: 'kernels',
        arrangement: 'flat',
        precision: 'bf16',
      });
      assert.ok(furthest(narrow.losses, reference.losses) < 0.05, 'in bfloat16');
    });
  });
}

/** Dropout of hidden states, of attention, and of the inputs of adapter updates. */
const dropping: Record<string, [config: Record<string, unknown>, peft: Record<string, unknown>]> = {
  'bert SEQ_CLS': [{ model_type: 'bert' }, { task_type: 'SEQ_CLS' }],
  gpt2: [{ ...tinyFamilies.gpt2, resid_pdrop: 0.1, embd_pdrop: 0.1, attn_pdrop: 0.2 }, {}],
  t5: [{ ...tinyFamilies.t5, dropout_rate: 0.1 }, { task_type: 'SEQ_2_SEQ_LM' }],
  'llama, its LoRA': [{}, { lora_dropout: 0.2 }],
  'llama, its DoRA': [{}, { lora_dropout: 0.2, use_dora: true }],
};

for (const [name, [config, options]] of Object.entries(dropping)) {
  test(`${name}: kernels drop what stock operations drop on the same list`, async () => {
    await withModel(`dropping ${name}`, config, async (base) => {
      const peft = { ...lora, ...options };
      const [kernels, stock] = [
        // A list of another length draws other random numbers for attention.
        await trained(base, peft, { implementation: 'kernels', arrangement: 'flat' }, 'even'),
        await trained(base, peft, { implementation: 'stock', arrangement: 'flat' }, 'even'),
      ];
      assert.ok(furthest(kernels.losses, stock.losses) < 1e-5, 'losses');
      assert.ok(furthest(kernels.norms, stock.norms) < 1e-3, 'gradients');
      assert.equal(kernels.varies, options.task_type !== 'SEQ_2_SEQ_LM');
    });
  });
}

async function withModel(
  name: string,
  config: Record<string, unknown>,
  body: (base: BaseModel) => Promise<void>,
): Promise<void> {
  const folder = path.join(root, name);
  await writeTinyModel(folder, config);
  const base = await openBaseModel(folder);
  try {
    await body(base);
  } finally {
    await base.close();
  }
}

test('projections are one product where nothing but an update of low rank changes them', async () => {
  await withModel('stacks', {}, async (base) => {
    assert.equal((await trained(base, lora, shared)).stacks, 4);
    const scaled = {
      peft_type: 'IA3',
      target_modules: ['k_proj', 'down_proj'],
      feedforward_modules: ['down_proj'],
    };
    const scales = await trained(base, scaled, shared);
    assert.equal(scales.stacks, 2);
    const reference = await trained(base, scaled, { implementation: 'stock', arrangement: 'grid' });
    assert.ok(furthest(scales.losses, reference.losses) < 1e-5);
  });
});
