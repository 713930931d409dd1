import type { ModelOutline } from '../outlines/outline.ts';
import { fullMatch } from '../schema/module-pattern.ts';
import { inputEmbedding } from './token-targets.ts';
import type { FileCopy } from './tuner.ts';

/** Names by which PEFT knows embedding layers (peft/utils/constants.py, EMBEDDING_LAYER_NAMES). */
const EMBEDDING_NAMES = ['embed_tokens', 'lm_head'];

/**
 * The frozen weights of wrapped input and output embeddings, which PEFT writes into the files when target_modules names
 * an embedding layer (peft, utils/save_and_load.py, `save_embedding_layers`).
 */
export function embeddingCopies(
  targets: string[] | string | null,
  wrapped: string[],
  model: ModelOutline,
): FileCopy[] {
  const { modules, parameters, aliases } = model;
  const isEmbeddingName = (name: string) => EMBEDDING_NAMES.includes(name.slice(name.lastIndexOf('.') + 1));
  const named =
    typeof targets === 'string'
      ? targets.toLowerCase() !== 'all-linear' &&
        modules.some(({ name }) => isEmbeddingName(name) && fullMatch(targets, name))
      : EMBEDDING_NAMES.some((name) => targets?.includes(name));
  if (!named) return [];
  return [inputEmbedding(model), 'lm_head']
    .filter((module) => wrapped.includes(module))
    .map((module) => {
      const base = `${module}.weight`;
      const { shape } = parameters.find(({ name }) => name === (aliases[base] ?? base))!;
      return { name: `${module}.base_layer.weight`, shape, of: { base } };
    });
}
