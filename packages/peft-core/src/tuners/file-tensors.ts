/** Names and shapes of the tensors in an adapter's files, from its config and the model's config.json. Loads no TensorFlow. */

import { type ModelOutline, shapeInFiles } from '../outlines/outline.ts';
import { fullMatch } from '../schema/module-pattern.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import { resolveModulesToSave } from './target-modules.ts';
import { inputEmbedding, type TokenTarget } from './token-targets.ts';

/** A tensor of adapter_model.safetensors. */
export interface FileTensor {
  /** The full key in the file. */
  key: string;
  shape: number[];
  /** Set for a redundant copy that HF PEFT writes: it may be missing. */
  needless?: true;
}

/** Prefix that HF PEFT puts before the path of a module; soft prompts have none. */
export const MODEL_PREFIX = 'base_model.model.';

/** A parameter of a module that is trained in full. */
interface SavedTensor {
  /** State-dict name. */
  name: string;
  shape: number[];
  /** The parameter that this one is tied to, or its own name. */
  source: string;
}

/** The modules of `modules_to_save` and of the task's head, with their parameters. */
export function savedTensors(
  config: { modules_to_save?: string[] | null },
  model: ModelOutline,
): { modules: string[]; tensors: SavedTensor[] } {
  const wanted = [...new Set([...(config.modules_to_save ?? []), ...model.taskHead])];
  const modules = resolveModulesToSave({ modules_to_save: wanted }, model.modules);
  const shapes = shapesOf(model);
  const tensors: SavedTensor[] = [];
  for (const name of [...shapes.keys(), ...Object.keys(model.aliases)]) {
    if (!modules.some((module) => name.startsWith(`${module}.`))) continue;
    const source = model.aliases[name] ?? name;
    tensors.push({ name, shape: shapes.get(source)!, source });
  }
  return { modules, tensors };
}

/** Total number of elements of these tensors. */
export function countOf(tensors: readonly { shape: number[] }[]): number {
  return tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
}

/** The shapes of parameters in files. */
export function shapesOf({ parameters }: Pick<ModelOutline, 'parameters'>): Map<string, number[]> {
  return new Map(parameters.map((each) => [each.name, shapeInFiles(each)]));
}

/** Shape of a table's trained rows: one row for each id. */
export function rowsShape({ module, ids }: TokenTarget, model: ModelOutline): number[] {
  const weight = `${module}.weight`;
  const table = shapesOf(model).get(model.aliases[weight] ?? weight)!;
  return [ids.length, table[1]!];
}

/** The names of embedding layers in PEFT (peft/utils/constants.py, EMBEDDING_LAYER_NAMES). */
const EMBEDDING_NAMES = ['embed_tokens', 'lm_head'];

/**
 * The frozen weights of wrapped input and output embeddings, which PEFT writes into the files if target_modules names
 * an embedding layer (peft, utils/save_and_load.py, `save_embedding_layers`). `base` is the copied parameter.
 */
export function copiedEmbeddings(
  targets: string[] | string | null,
  wrapped: string[],
  model: ModelOutline,
): { name: string; shape: number[]; base: string }[] {
  const { modules, aliases } = model;
  const isEmbeddingName = (name: string) => EMBEDDING_NAMES.includes(name.slice(name.lastIndexOf('.') + 1));
  const named =
    typeof targets === 'string'
      ? targets.toLowerCase() !== 'all-linear' &&
        modules.some(({ name }) => isEmbeddingName(name) && fullMatch(targets, name))
      : EMBEDDING_NAMES.some((name) => targets?.includes(name));
  if (!named) return [];
  const shapes = shapesOf(model);
  return [inputEmbedding(model), 'lm_head']
    .filter((module) => wrapped.includes(module))
    .map((module) => {
      const base = `${module}.weight`;
      return { name: `${module}.base_layer.weight`, shape: shapes.get(aliases[base] ?? base)!, base };
    });
}

/** The file tensors of a method that keeps the model's own paths, with the copies that PEFT adds. */
export function underModel(
  tensors: readonly { name: string; shape: number[] }[],
  copies: readonly { name: string; shape: number[] }[] = [],
): FileTensor[] {
  return [
    ...tensors.map(({ name, shape }) => ({ key: MODEL_PREFIX + name, shape })),
    ...copies.map(({ name, shape }) => ({ key: MODEL_PREFIX + name, shape, needless: true as const })),
  ];
}

/** The key of a soft prompt in adapter_model.safetensors, and the name of a prompt encoder's output. */
export const PROMPT = 'prompt_embeddings';

/** The file tensors of a soft prompt with this shape, and of the modules trained in full with it. */
export function promptTensors(
  shape: number[],
  config: { modules_to_save?: string[] | null },
  model: ModelOutline,
): FileTensor[] {
  const { tensors } = savedTensors(config, model);
  return [
    { key: PROMPT, shape },
    ...tensors.map((tensor) => ({ key: `base_model.${tensor.name}`, shape: tensor.shape })),
  ];
}
