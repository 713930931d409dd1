import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { modelTypes, outlineOf } from '@graft/peft-core/outlines';
import { tinyConfig, writeByteModel } from '@graft/peft-core/testing';
import { toBfloat16 } from '@graft/tf-graph/bfloat16';
import { blockNumbers } from '../../packages/peft-core/src/estimate/block-numbers.ts';
import { Random } from '../../packages/peft-core/src/random.ts';
import { elementCount } from '../../packages/peft-core/src/tensors/tensor-source.ts';

type Config = Record<string, unknown> & { model_type: string };

const LAYERS = 4;
/** Smallest width of the models, which are to be of realistic sizes. */
const WIDTH = 2048;
/** Fields with an entry for each layer. */
const byLayer = ['layer_types', 'no_rope_layers'];

/** Four layers of a published decoder of each family: of those that are wide enough, the smallest with the largest vocabulary. */
export const published: ReadonlyMap<string, Config> = readPublished();

function readPublished(): Map<string, Config> {
  const folder = path.join(import.meta.dirname, '../../test/golden/published-configs');
  const models = readdirSync(folder).flatMap((file) => {
    const all: Record<string, { config: Config & { text_config?: Config }; parameters: number }> = JSON.parse(
      readFileSync(path.join(folder, file), 'utf8'),
    );
    // Of a multimodal model the text model.
    return Object.values(all).map(({ config, parameters }) => ({
      config: config.text_config ?? config,
      parameters,
    }));
  });
  const wide = models
    .filter(({ config }) => modelTypes.includes(config.model_type) && Number(config.hidden_size) >= WIDTH)
    .sort((a, b) => Number(a.config.vocab_size) - Number(b.config.vocab_size) || b.parameters - a.parameters);
  return new Map(wide.map(({ config }) => [config.model_type, withLayers(config)]));
}

function withLayers(config: Config): Config {
  // The last ones: where kinds of layers alternate, they have all kinds.
  const cut = Object.fromEntries(
    byLayer.flatMap((field) => {
      const entries = config[field];
      return Array.isArray(entries) ? [[field, entries.slice(-LAYERS)]] : [];
    }),
  );
  return { ...config, ...cut, num_hidden_layers: LAYERS };
}

/** A model of the reference family with as many products: its feed-forward networks are as wide as that takes. */
export function withSameProducts(config: Config): Config {
  const outline = outlineOf(config, 'CAUSAL_LM');
  const { hiddenSize, heads, kvHeads, headSize } = outline;
  const blocks = blockNumbers(outline, { rows: 1, tokens: 1, inputTokens: 0 });
  const numbers = blocks.reduce((sum, { products }) => sum + products / 2, 0) / LAYERS;
  const inAttention = 2 * hiddenSize * headSize * (heads + kvHeads);
  return {
    model_type: tinyConfig.model_type,
    num_hidden_layers: LAYERS,
    hidden_size: hiddenSize,
    intermediate_size: Math.round((numbers - inAttention) / (3 * hiddenSize)),
    num_attention_heads: heads,
    num_key_value_heads: kvHeads,
    head_dim: headSize,
    vocab_size: outline.vocabularySize,
    max_position_embeddings: outline.maxPositions,
    tie_word_embeddings: Object.keys(outline.aliases).length > 0,
  };
}

/** Random values, repeated: drawing hundreds of millions would take longer than the measurement. */
const values = toBfloat16(
  Float32Array.from({ length: 65_537 }, (_, i) => 0.02 * new Random(1, 'test', i).normal()),
);
const [one] = toBfloat16(Float32Array.of(1));

/** Writes a model with random weights in bfloat16, as published ones have them. */
export async function writeModel(folder: string, name: string, config: Config): Promise<string> {
  const model = path.join(folder, name);
  await writeByteModel(model, config, ({ name, shape }) => ({
    name,
    shape,
    dtype: 'BF16',
    data: async () => {
      const data = new Uint16Array(elementCount(shape));
      if (shape.length === 1 && name.endsWith('norm.weight')) return data.fill(one!);
      for (let at = 0; at < data.length; at += values.length)
        data.set(values.subarray(0, data.length - at), at);
      return data;
    },
  }));
  return model;
}
