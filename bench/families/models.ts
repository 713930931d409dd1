import { modelTypes, outlineOf } from '@graft/peft-core/outlines';
import { tinyConfig } from '@graft/peft-core/testing';
import { blockNumbers } from '../../packages/peft-core/src/estimate/block-numbers.ts';
import { sum } from '../../scripts/measuring/report.ts';
import { type Config, publishedConfigs } from '../published-model.ts';

const LAYERS = 4;
/** Minimum width, so that the models have realistic sizes. */
const WIDTH = 2048;

/** Four layers of a published decoder of each family: the smallest of the models that are wide enough and have the largest vocabulary. */
export const published: ReadonlyMap<string, Config> = new Map(
  [...publishedConfigs().values()]
    .filter(({ config }) => modelTypes.includes(config.model_type) && Number(config.hidden_size) >= WIDTH)
    .sort((a, b) => Number(a.config.vocab_size) - Number(b.config.vocab_size) || b.parameters - a.parameters)
    .map(({ config }) => [config.model_type, withLayers(config)]),
);

function withLayers(config: Config): Config {
  // Keep the last entries of per-layer fields: if kinds of layers alternate, these include all kinds.
  const cut = ['layer_types', 'no_rope_layers'].flatMap((field) => {
    const entries = config[field];
    return Array.isArray(entries) ? [[field, entries.slice(-LAYERS)]] : [];
  });
  return { ...config, ...Object.fromEntries(cut), num_hidden_layers: LAYERS };
}

/** A model of the reference family with equally many matrix products, by the width of its feed-forward networks. */
export function withSameProducts(config: Config): Config {
  const outline = outlineOf(config, 'CAUSAL_LM');
  const { hiddenSize, heads, kvHeads, headSize } = outline;
  const blocks = blockNumbers(outline, { rows: 1, tokens: 1, inputTokens: 0 });
  const numbers = sum(blocks.map(({ products }) => products / 2)) / LAYERS;
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
