import type { LoraConfig } from '../../config/index.ts';
import type { ModelOutline, ModuleDescription } from '../../outlines/outline.ts';
import { rankAndAlphaFor, resolveTargetModules } from '../target-modules.ts';
import { inputEmbedding } from '../token-targets.ts';

/** An adapted module: A is `(rank, width)` and B `(out, rank)`, for an embedding with the vocabulary as width. */
export interface LoraTarget {
  name: string;
  kind: 'linear' | 'embedding';
  width: number;
  out: number;
  /** The module's weight is stored `(width, out)`: an embedding's, and a Conv1D's. */
  transposed: boolean;
  /** The row of an embedding that gets no gradient. */
  padding: number | null;
  rank: number;
  /** lora_alpha / rank, or lora_alpha / √rank. */
  scale: number;
}

/** The modules that `config` adapts, in the model's order, with those that are neither linear nor embeddings apart. */
export function loraTargets(
  config: LoraConfig,
  model: ModelOutline,
): { targets: LoraTarget[]; unfit: ModuleDescription[] } {
  const names = new Set(resolveTargetModules(config, model));
  const modules = model.modules.filter(({ name }) => names.has(name));
  const fits = ({ kind }: ModuleDescription) => kind === 'linear' || kind === 'embedding';
  return {
    targets: modules.filter(fits).map((module) => targetOf(module, config)),
    unfit: modules.filter((module) => !fits(module)),
  };
}

function targetOf(module: ModuleDescription, config: LoraConfig): LoraTarget {
  const { rank, alpha } = rankAndAlphaFor(config, module.name);
  const embedding = module.kind === 'embedding';
  return {
    name: module.name,
    kind: embedding ? 'embedding' : 'linear',
    width: embedding ? module.out! : module.in!,
    out: embedding ? module.in! : module.out!,
    padding: module.padding ?? null,
    transposed: embedding || (module.transposed ?? false),
    rank,
    scale: config.use_rslora ? alpha / Math.sqrt(rank) : alpha / rank,
  };
}

/** trainable_token_indices by the full names of the modules it means. */
export function tokensByModule(
  { trainable_token_indices: given }: LoraConfig,
  model: ModelOutline,
): { entry: string; modules: string[]; ids: number[] }[] {
  if (given === null) return [];
  if (Array.isArray(given)) {
    const module = inputEmbedding(model);
    return [{ entry: module, modules: [module], ids: given }];
  }
  return Object.entries(given).map(([entry, ids]) => ({
    entry,
    modules: model.modules.filter(({ name }) => name.endsWith(entry)).map(({ name }) => name),
    ids,
  }));
}
