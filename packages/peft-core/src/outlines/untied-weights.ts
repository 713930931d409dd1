/** What transformers ties to `shared.weight` in every T5, whatever its config says, unless the checkpoint holds it apart. */
export const T5_TIED = ['encoder.embed_tokens.weight', 'decoder.embed_tokens.weight', 'lm_head.weight'];

/** The field of a config that tells which of these a checkpoint holds apart: Graft's own, never written to a file. */
export const UNTIED_WEIGHTS = 'untied_weights';

/** config.json with what only the checkpoint's tensors tell. Source: transformers 5, modeling_utils.py tie_weights. */
export function withUntiedWeights(
  config: Record<string, unknown>,
  tensors: readonly string[],
): Record<string, unknown> {
  if (config.model_type !== 't5') return config;
  const present = new Set(tensors);
  return { ...config, [UNTIED_WEIGHTS]: T5_TIED.filter((name) => present.has(name)) };
}
