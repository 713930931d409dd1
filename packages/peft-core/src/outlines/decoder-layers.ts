import type { ConfigFields, RawConfig } from './config-fields.ts';
import type { ModelOutline, OutlineBuilder } from './outline.ts';
import type { RopeFields } from './rope.ts';

type Windows = (layer: number) => number | null;

const SLIDING = 'sliding_attention';
const FULL = 'full_attention';

/**
 * Optional sliding windows in config.json: none unless `use_sliding_window` is set; then in the layers with the `layer_types` entry
 * "sliding_attention", or, without that list, from layer `max_window_layers` on.
 */
export function optionalWindows(config: RawConfig, fields: ConfigFields): Windows {
  if (!fields.flag('use_sliding_window') || config.sliding_window === null) return () => null;
  const window = fields.size('sliding_window', 4096);
  if (Array.isArray(config.layer_types)) return windowsByType(config, fields, slidingByType(config, fields));
  const first = fields.number('max_window_layers', 28);
  return (layer) => (layer >= first ? window : null);
}

/** The same window in every layer: `sliding_window`, or none. */
export function oneWindow(config: RawConfig, fields: ConfigFields): Windows {
  const window = config.sliding_window == null ? null : fields.size('sliding_window');
  return () => window;
}

/** `sliding_window` in the layers for which `isSliding` is true. */
export function windowsByType(
  config: RawConfig,
  fields: ConfigFields,
  isSliding: (layer: number) => boolean,
): Windows {
  const window = oneWindow(config, fields);
  return (layer) => (isSliding(layer) ? window(layer) : null);
}

/**
 * Returns which layers have a sliding window, by `layer_types`, or, without that list, by `otherwise`. Reports an entry of another type, and
 * a list of another length.
 */
export function slidingByType(
  config: RawConfig,
  fields: ConfigFields,
  otherwise: (layer: number) => boolean = () => false,
): (layer: number) => boolean {
  const types = config.layer_types;
  if (types == null) return otherwise;
  if (!Array.isArray(types) || types.length !== config.num_hidden_layers) {
    fields.fault('layer_types must be a list with an entry for each of num_hidden_layers');
    return otherwise;
  }
  const stray = types.find((type) => type !== SLIDING && type !== FULL);
  if (stray !== undefined)
    fields.fault(`layer_types: ${JSON.stringify(stray)} is not supported; "${SLIDING}" and "${FULL}" are`);
  return (layer) => types[layer] === SLIDING;
}

/** Sliding windows in all layers but every `count`-th. */
export const allButEvery = (count: number) => (layer: number) => (layer + 1) % count !== 0;

/** `rope_theta` of both types of layers. */
export interface Thetas {
  sliding: number;
  full: number;
}

/**
 * The rotations of models whose `rope_parameters` has an entry for each type of layer. In configs of transformers 4, `rope_scaling`
 * is for layers without a window.
 */
export function ropesByType(
  config: RawConfig,
  thetas: Thetas,
  isSliding: (layer: number) => boolean,
): { each: RopeFields[]; of(layer: number): number } {
  const { rope_parameters: given, rope_scaling } = config as Record<string, RopeFields | null | undefined>;
  const of = (type: string, rope_theta: number): RopeFields => ({
    rope_theta,
    ...(given?.[type] as RopeFields | null | undefined),
  });
  const each = [of(SLIDING, thetas.sliding), { ...of(FULL, thetas.full), ...rope_scaling }];
  return { each, of: (layer) => (isSliding(layer) ? 0 : 1) };
}

export interface DecoderHead {
  tied: boolean;
  labels: number;
  bias: boolean;
  deviation: number;
}

/** Adds the task's head and returns the tied parameters. */
export function addHead(
  all: OutlineBuilder,
  model: Pick<ModelOutline, 'task' | 'vocabularySize' | 'hiddenSize'> & { prefix: string },
  head: DecoderHead,
): Record<string, string> {
  const { task, prefix, vocabularySize: V, hiddenSize: H } = model;
  const { labels, bias, deviation } = head;
  if (task === 'CAUSAL_LM' && head.tied) {
    all.tiedLinear('lm_head', V, H);
    return { 'lm_head.weight': `${prefix}embed_tokens.weight` };
  }
  if (task === 'CAUSAL_LM') all.linear('lm_head', V, H);
  if (task === 'SEQ_CLS') all.linear('score', labels, H, { fresh: deviation });
  if (task === 'TOKEN_CLS') all.linear('score', labels, H, { bias, fresh: deviation });
  return {};
}
