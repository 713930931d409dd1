import { GraftError } from '../errors.ts';
import { ropeFrequencies } from './rope-scaling.ts';

/** The sizes of a llama model, from config.json. */
export interface LlamaConfig {
  vocabularySize: number;
  hiddenSize: number;
  intermediateSize: number;
  layers: number;
  heads: number;
  kvHeads: number;
  headSize: number;
  epsilon: number;
  /** D/2 of them, scaling applied. */
  inverseFrequencies: number[];
  maxPositions: number;
  tiedEmbeddings: boolean;
  attentionBias: boolean;
  mlpBias: boolean;
}

/**
 * Reads a llama config.json (transformers 4 and 5: the latter keeps rope_theta under `rope_parameters`).
 * Throws `invalid_model_config` naming every field that is missing or unfit, `unsupported_model` for variants not built yet.
 */
export function parseLlamaConfig(raw: Record<string, unknown>): LlamaConfig {
  const faults: string[] = [];
  const size = (field: string, fallback?: number): number => {
    const value = raw[field] ?? fallback;
    if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value;
    faults.push(`${field} must be a positive integer`);
    return 1;
  };
  const flag = (field: string) => raw[field] === true;
  const activation = raw.hidden_act ?? 'silu';
  if (activation !== 'silu') faults.push(`hidden_act must be "silu", not ${JSON.stringify(activation)}`);
  const heads = size('num_attention_heads');
  const hiddenSize = size('hidden_size');
  const config: LlamaConfig = {
    vocabularySize: size('vocab_size'),
    hiddenSize,
    intermediateSize: size('intermediate_size'),
    layers: size('num_hidden_layers'),
    heads,
    kvHeads: size('num_key_value_heads', heads),
    headSize: size('head_dim', hiddenSize / heads),
    epsilon: Number(raw.rms_norm_eps ?? 1e-6),
    inverseFrequencies: [],
    maxPositions: size('max_position_embeddings', 2048),
    tiedEmbeddings: flag('tie_word_embeddings'),
    attentionBias: flag('attention_bias'),
    mlpBias: flag('mlp_bias'),
  };
  if (heads % config.kvHeads !== 0) faults.push('num_key_value_heads must divide num_attention_heads');
  if (config.headSize % 2 !== 0) faults.push('head_dim must be even');
  if (faults.length > 0)
    throw new GraftError('invalid_model_config', `config.json: ${faults.join('; ')}`, { param: 'model' });
  config.inverseFrequencies = ropeFrequencies(raw, config.headSize);
  return config;
}
