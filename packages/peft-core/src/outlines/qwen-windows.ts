import type { ConfigFields } from './config-fields.ts';

/**
 * The sliding windows of Qwen 2 and 3: none unless `use_sliding_window`; then in the layers that `layer_types` calls
 * "sliding_attention", or, without that list, from `max_window_layers` on.
 */
export function qwenWindows(
  config: Record<string, unknown>,
  fields: ConfigFields,
): (layer: number) => number | null {
  if (!fields.flag('use_sliding_window') || config.sliding_window === null) return () => null;
  const window = fields.size('sliding_window', 4096);
  const types = config.layer_types;
  if (Array.isArray(types)) return (layer) => (types[layer] === 'sliding_attention' ? window : null);
  const first = fields.number('max_window_layers', 28);
  return (layer) => (layer >= first ? window : null);
}
