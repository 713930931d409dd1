import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { tf } from '@graft/tf-graph';
import { checkGradients } from '@graft/tf-graph/testing';
import { parsePeftConfig, resolveTraining } from '../config.ts';
import { type BaseModel, openBaseModel, readAdapter, writeAdapter } from '../formats/index.ts';
import { mergeAdapter, scoreTexts, train } from '../index.ts';
import { architectureFor } from '../models/registry.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { attach } from './registry.ts';

/** What every tuner must do, on configurations that use its options. A new tuner adds its rows here. */
const configurations: Record<string, Record<string, unknown>> = {
  'LORA, plain': { peft_type: 'LORA', r: 4, target_modules: ['q_proj', 'v_proj'] },
  'LORA, every linear layer, rank-stabilised': {
    peft_type: 'LORA',
    r: 4,
    target_modules: 'all-linear',
    use_rslora: true,
  },
  'LORA, patterns and biases': {
    peft_type: 'LORA',
    r: 2,
    target_modules: ['q_proj', 'down_proj'],
    rank_pattern: { q_proj: 3 },
    alpha_pattern: { down_proj: 5 },
    bias: 'all',
  },
  'LORA, head and norms saved whole': {
    peft_type: 'LORA',
    r: 2,
    target_modules: ['k_proj'],
    modules_to_save: ['lm_head', 'norm'],
  },
  'LORA, head and embedding': {
    peft_type: 'LORA',
    r: 2,
    target_modules: ['lm_head', 'o_proj'],
    modules_to_save: ['embed_tokens'],
  },
  'LORA, biases of its own': { peft_type: 'LORA', r: 2, target_modules: ['q_proj'], lora_bias: true },
  'LORA, DoRA with dropout': {
    peft_type: 'LORA',
    r: 2,
    target_modules: ['q_proj', 'down_proj'],
    use_dora: true,
    lora_dropout: 0.2,
  },
  'LORA, DoRA of embedding and head': {
    peft_type: 'LORA',
    r: 2,
    target_modules: ['embed_tokens', 'lm_head'],
    use_dora: true,
  },
  'LORA, embedding, orthogonal start': {
    peft_type: 'LORA',
    r: 4,
    target_modules: ['embed_tokens', 'v_proj'],
    init_lora_weights: 'orthogonal',
  },
  'LORA, random start, trained tokens, whole mlps': {
    peft_type: 'LORA',
    r: 2,
    target_modules: ['q_proj', 'lm_head'],
    init_lora_weights: false,
    trainable_token_indices: [51, 58, 111],
    modules_to_save: ['mlp'],
  },
  'IA3, plain': { peft_type: 'IA3' },
  'IA3, random start, every linear layer': {
    peft_type: 'IA3',
    target_modules: 'all-linear',
    feedforward_modules: '.*mlp.*',
    init_ia3_weights: false,
    modules_to_save: ['norm'],
  },
  'LN_TUNING, plain': { peft_type: 'LN_TUNING' },
  'LN_TUNING, of other modules': { peft_type: 'LN_TUNING', target_modules: ['lm_head', 'v_proj'] },
  'TRAINABLE_TOKENS, plain': { peft_type: 'TRAINABLE_TOKENS', token_indices: [51, 58, 111] },
  'TRAINABLE_TOKENS, of the head, random start': {
    peft_type: 'TRAINABLE_TOKENS',
    token_indices: [100, 111],
    target_modules: ['lm_head'],
    init_weights: false,
  },
  'SELECTIVE, the head apart from its embedding': { peft_type: 'SELECTIVE', preset: 'retrain_embeddings' },
  'SELECTIVE, norms and embeddings': { peft_type: 'SELECTIVE', kinds: ['norm', 'embedding'] },
  'SELECTIVE, a layer': { peft_type: 'SELECTIVE', layers: 1 },
  'SELECTIVE, names and a kind in a layer': {
    peft_type: 'SELECTIVE',
    trainable: ['self_attn.q_proj'],
    kinds: ['mlp'],
    layers: [0],
  },
  'BOTTLENECK, after the feed-forward network': {
    peft_type: 'BOTTLENECK',
    preset: 'seq_bn',
    reduction_factor: 4,
    non_linearity: 'gelu', // Finite differences stumble over a relu's bend.
  },
  'BOTTLENECK, after both sublayers, with norms': {
    peft_type: 'BOTTLENECK',
    preset: 'double_seq_bn',
    reduction_factor: { '0': 2, default: 8 },
    ln_before: true,
    ln_after: true,
    scaling: 'channel',
    dropout: 0.1,
  },
  'BOTTLENECK, parallel, with the head': {
    peft_type: 'BOTTLENECK',
    preset: 'par_bn',
    modules_to_save: ['lm_head'],
    non_linearity: 'tanh',
    mh_adapter: true,
    leave_out: [0],
    scaling: 'learned',
    init_weights: 'houlsby',
  },
  'PROMPT_TUNING, drawn': { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 3 },
  'PROMPT_TUNING, from a text, norm and mlps trained too': {
    peft_type: 'PROMPT_TUNING',
    num_virtual_tokens: 7,
    prompt_tuning_init: 'TEXT',
    prompt_tuning_init_text: 'odd or even?',
    modules_to_save: ['norm', 'mlp'],
  },
  'PROMPT_TUNING, from the vocabulary': {
    peft_type: 'PROMPT_TUNING',
    num_virtual_tokens: 3,
    prompt_tuning_init: 'SAMPLE_VOCAB',
  },
  'P_TUNING, MLP': { peft_type: 'P_TUNING', num_virtual_tokens: 3, encoder_hidden_size: 5 },
  'P_TUNING, LSTM with dropout': {
    peft_type: 'P_TUNING',
    num_virtual_tokens: 4,
    encoder_reparameterization_type: 'LSTM',
    encoder_hidden_size: 5,
    encoder_num_layers: 2,
    encoder_dropout: 0.2,
  },
  'PREFIX_TUNING, plain': { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 3 },
  'PREFIX_TUNING, projected, from zero': {
    peft_type: 'PREFIX_TUNING',
    num_virtual_tokens: 3,
    prefix_projection: true,
    encoder_hidden_size: 6,
    init_weights: 'zero',
  },
};

const folderOf = (name: string) => path.join(root, name.replaceAll(/\W+/g, '-'));
const attached = (options: Record<string, unknown>) => {
  const peft = parsePeftConfig(options);
  const architecture = architectureFor(base.modelType, base.config, peft.task_type);
  return { architecture, ...attach(peft, architecture, 'trained') };
};

let root: string;
let base: BaseModel;

before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-conformance-'));
  await writeTinyModel(path.join(root, 'model'), { attention_bias: false });
  base = await openBaseModel(path.join(root, 'model'));
  const lines = Array.from({ length: 8 }, (_, i) =>
    JSON.stringify({ prompt: `${i}:`, completion: ` ${i % 2 ? 'odd' : 'even'}` }),
  );
  await writeFile(path.join(root, 'train.jsonl'), lines.join('\n'));
});
after(async () => {
  await base.close();
  await rm(root, { recursive: true });
});

async function trained(name: string, options: Record<string, unknown>): Promise<string> {
  const outputDir = folderOf(name);
  const peft = parsePeftConfig(options);
  const training = resolveTraining({
    peft,
    training: { learning_rate: 0.02, batch_size: 4, max_steps: 6 },
    exampleCount: 8,
  });
  const records = train({
    base,
    baseModelName: 'tiny',
    trainingFile: path.join(root, 'train.jsonl'),
    peft,
    training,
    outputDir,
  });
  for await (const record of records) if (record.type === 'done') return record.adapterDir;
  throw new Error('training did not end');
}

async function score(model: BaseModel, adapterDir: string | null): Promise<number[]> {
  const all: number[] = [];
  const input = [{ text: '3: odd' }, { text: 'anything else?' }];
  for await (const score of scoreTexts({ base: model, adapterDir, input })) {
    if ('logprobs' in score) all.push(...score.logprobs);
  }
  return all;
}

const distance = (a: number[], b: number[]) => Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));

for (const [name, options] of Object.entries(configurations)) {
  test(`${name}: has an effect, and merged into the base, if it can be, it scores the same`, async () => {
    const adapterDir = await trained(name, options);
    const adapted = await score(base, adapterDir);
    assert.ok(distance(adapted, await score(base, null)) > 1e-3, 'the adapter changes nothing');
    const merged = path.join(root, `${path.basename(adapterDir)}-merged`);
    const merging = mergeAdapter({ base, adapterDir, outputDir: merged });
    if (attached(options).unmergeable !== undefined) {
      await assert.rejects(merging, { code: 'not_mergeable' });
      return;
    }
    await merging;
    const model = await openBaseModel(merged);
    assert.ok(distance(adapted, await score(model, null)) < 1e-4);
    await model.close();
  });

  test(`${name}: read and written again, its files are the same bytes`, async () => {
    const adapterDir = folderOf(name);
    const { config, tensors } = await readAdapter(adapterDir);
    const again = `${adapterDir}-again`;
    const card = { steps: null, trainedTokens: null, finalLoss: null, validationLoss: null };
    await writeAdapter(again, {
      peft: config,
      baseModelNameOrPath: 'tiny',
      taskType: config.task_type,
      tensors,
      card,
      baseConfig: base.config,
    });
    const files = (await readdir(adapterDir)).filter((file) => file !== 'README.md');
    assert.ok(files.length >= 2);
    for (const file of files) {
      assert.deepEqual(
        await readFile(path.join(again, file)),
        await readFile(path.join(adapterDir, file)),
        file,
      );
    }
  });

  test(`${name}: gradients agree with finite differences`, () => {
    const {
      architecture,
      parameters,
      linears = new Map(),
      embeddings = new Map(),
      joins = new Map(),
    } = attached(options);
    // DoRA's norm has no gradient on purpose: what it is made of is held fixed.
    const learns = (name: string) => !options.use_dora || name.endsWith('magnitude_vector');
    const fixed = (name: string) => architecture.parameters.find((p) => p.name === name)?.shape;
    for (const [module, wrap] of [...linears].slice(0, 4)) {
      const { in: width, out } = architecture.modules.find((m) => m.name === module)!;
      const own = ownOf(module);
      const base = (x: tf.Tensor) => tf.mul(tf.sum(x, -1, true), tf.ones([1, out!]));
      const weight = { kind: 'trained', tensor: tf.ones([out!, width!]) } as const;
      checkGradients(
        (x, ...tensors) => wrap(contextOf(own, tensors), x!, base, { product: base, weight, bias: null }),
        [tf.randomUniform([3, width!], -1, 1, 'float32', 7), ...own.learning.map(({ value }) => value())],
        { samples: 16 },
      );
    }
    for (const [module, wrap] of [...embeddings].slice(0, 4)) {
      const own = ownOf(module);
      if (own.learning.length === 0) continue; // A prompt's, below.
      const ids = tf.tensor1d([3, 0, 3, 7], 'int32');
      const base = () => tf.ones([4, architecture.hiddenSize]);
      checkGradients(
        (...tensors) => wrap(contextOf(own, tensors), ids, base),
        own.learning.map(({ value }) => value()),
        { samples: 16 },
      );
    }

    /** The module's parameters: those whose gradient is checked, and the others, each with its value. */
    function ownOf(module: string) {
      const all = parameters
        .filter((p) => p.name.startsWith(`${module}.`))
        .map(({ name, shape }, i) => ({
          name,
          value: () => tf.randomUniform(shape, -1, 1, 'float32', i + 1),
        }));
      return {
        learning: all.filter(({ name }) => learns(name)),
        still: all.filter(({ name }) => !learns(name)),
      };
    }
    function contextOf({ learning, still }: ReturnType<typeof ownOf>, tensors: tf.Tensor[]) {
      const byName = new Map(learning.map(({ name }, i) => [name, tensors[i]!]));
      for (const { name, value } of still) byName.set(name, value());
      return {
        parameter: (key: string) => byName.get(key)!,
        weight: (name: string) => ({ kind: 'trained', tensor: tf.ones(fixed(name)!) }) as const,
      };
    }
    for (const [module, wrap] of [...joins].slice(0, 4)) {
      const own = parameters.filter((p) => p.name.startsWith(`${module}.adapters.`));
      const values = own.map((p, i) => tf.randomUniform(p.shape, -1, 1, 'float32', i + 1));
      const stream = (seed: number) => tf.randomUniform([3, architecture.hiddenSize], -1, 1, 'float32', seed);
      // A smooth stand-in for the norm of a post-norm model.
      const norm = (x: tf.Tensor) => tf.tanh(x);
      checkGradients(
        (output, stream, ...tensors) => {
          const byName = new Map(own.map((p, i) => [p.name, tensors[i]!]));
          const context = { parameter: (key: string) => byName.get(key)!, weight: () => null };
          return wrap(context, output!, stream!, norm);
        },
        [stream(7), stream(8), ...values],
        { samples: 16 },
      );
    }
    const attachment = attached(options);
    if (!attachment.virtualTokens && !attachment.prefix) return;
    const own = parameters.filter((p) => p.name.startsWith('prompt_'));
    const prompt = (...tensors: tf.Tensor[]) => {
      const byName = new Map(own.map((p, i) => [p.name, tensors[i]!]));
      const context = { parameter: (key: string) => byName.get(key)!, weight: () => null };
      for (const [name, tensor] of attachment.derive?.(context) ?? []) byName.set(name, tensor);
      const { keys, values } = attachment.prefix?.(context, { layer: 1 }) ?? {};
      if (keys) return tf.concat([keys, values!], 0);
      const { tokenEmbedding, vocabularySize, hiddenSize } = architecture;
      const ids = tf.tensor1d([vocabularySize + 1, 4, vocabularySize, vocabularySize + 1], 'int32');
      const embed = attachment.embeddings!.get(tokenEmbedding)!;
      return embed(context, ids, (ids) => tf.ones([ids.shape[0]!, hiddenSize]));
    };
    // Values at which no unit of an encoder's relu is near its bend.
    const values = own.map((p, i) => tf.randomUniform(p.shape, -1, 1, 'float32', i + 41));
    checkGradients(prompt, values, { samples: 16 });
  });
}
