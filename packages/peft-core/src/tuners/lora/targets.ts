import type { ModelOutline, ModuleDescription } from '../../outlines/outline.ts';
import { fromPattern } from '../../schema/module-pattern.ts';
import { notFoundError, resolveTargetModules } from '../target-modules.ts';
import { inputEmbedding, type TokenTarget, tokenTargets } from '../token-targets.ts';
import type { LoraConfig } from './config.ts';
import { withoutFormerNames } from './former-names.ts';
import { type NamedParameter, namedParameters, parameterNotFound } from './parameter-targets.ts';

/** An adapted module: A is `(rank, width)` and B `(out, rank)`. For an embedding `width` is the size of the vocabulary. */
export interface LoraTarget {
  name: string;
  kind: 'linear' | 'embedding';
  width: number;
  out: number;
  /** The module's weight is stored as `(width, out)`: true for an embedding and a Conv1D. */
  transposed: boolean;
  /** Row of an embedding that gets no gradient. */
  padding: number | null;
  rank: number;
  /** lora_alpha / rank, or lora_alpha / √rank. */
  scale: number;
  outputFactor: number;
  /** The name that rank_pattern and alpha_pattern match: that of the module, or of a router's weight. */
  key: string;
  isRouter: boolean;
}

/** Adapted matrices of experts `(E, out, width)`: A is `(E · rank, width)` and B `(out, rank · E)`. */
export interface ExpertTarget {
  name: string;
  /** The path of A and B in files. */
  holder: string;
  experts: number;
  width: number;
  out: number;
  rank: number;
  scale: number;
}

/**
 * The modules that `config` adapts, in the model's order, and the matrices of experts. `unfit` are modules that are neither linear nor
 * embeddings. Throws what `resolveTargetModules` throws, and `target_modules_not_found` if target_parameters alone matches nothing.
 */
export function loraTargets(
  given: LoraConfig,
  model: ModelOutline,
): { targets: LoraTarget[]; experts: ExpertTarget[]; unfit: ModuleDescription[] } {
  const config = withoutFormerNames(given, model);
  const named = namedParameters(config, model);
  const [entry] = config.target_parameters ?? [];
  const namesNone = config.target_modules === null || config.target_modules.length === 0;
  if (namesNone && named.length === 0 && entry !== undefined) throw parameterNotFound(entry, model);
  const onlyParameters = namesNone && named.length > 0;
  const names = new Set(onlyParameters ? [] : resolveTargetModules(namesNone ? given : config, model));
  const modules = model.modules.filter(({ name }) => names.has(name));
  const fits = ({ kind }: ModuleDescription) => kind === 'linear' || kind === 'embedding';
  return {
    targets: [
      ...modules.filter(fits).map((module) => {
        const isInput = module.name === model.tokenEmbedding;
        return { ...targetOf(module, config), outputFactor: isInput ? (model.embeddingFactor ?? 1) : 1 };
      }),
      ...named.filter(({ shape }) => shape.length === 2).map((parameter) => routerOf(parameter, config)),
    ],
    experts: named.filter(({ shape }) => shape.length === 3).map((parameter) => expertsOf(parameter, config)),
    unfit: modules.filter((module) => !fits(module)),
  };
}

function routerOf({ name, module, shape }: NamedParameter, config: LoraConfig): LoraTarget {
  const [out, width] = shape as [number, number];
  const target = targetOf({ name: module, kind: 'linear', in: width, out }, config, name);
  return { ...target, outputFactor: 1, isRouter: true };
}

function expertsOf({ name, holder, shape }: NamedParameter, config: LoraConfig): ExpertTarget {
  const [experts, out, width] = shape as [number, number, number];
  const { rank, alpha } = rankAndAlphaFor(config, name);
  return { name, holder, experts, width, out, rank, scale: scaleOf(config, alpha, rank) };
}

const scaleOf = ({ use_rslora }: LoraConfig, alpha: number, rank: number) =>
  use_rslora ? alpha / Math.sqrt(rank) : alpha / rank;

function targetOf(
  module: ModuleDescription,
  config: LoraConfig,
  key = module.name,
): Omit<LoraTarget, 'outputFactor'> {
  const { rank, alpha } = rankAndAlphaFor(config, key);
  const embedding = module.kind === 'embedding';
  return {
    name: module.name,
    kind: embedding ? 'embedding' : 'linear',
    width: embedding ? module.out! : module.in!,
    out: embedding ? module.in! : module.out!,
    padding: module.padding ?? null,
    transposed: embedding || (module.transposed ?? false),
    rank,
    scale: scaleOf(config, alpha, rank),
    key,
    isRouter: false,
  };
}

/** The rank and alpha of one adapted module: from rank_pattern and alpha_pattern, else r and lora_alpha. */
export function rankAndAlphaFor(
  config: Pick<LoraConfig, 'r' | 'lora_alpha' | 'rank_pattern' | 'alpha_pattern'>,
  name: string,
): { rank: number; alpha: number } {
  return {
    rank: fromPattern(config.rank_pattern, name) ?? config.r,
    alpha: fromPattern(config.alpha_pattern, name) ?? config.lora_alpha,
  };
}

/** The names of an adapted module's parameters in PEFT's files. */
export interface LoraNames {
  a: string;
  b: string;
  magnitude: string | null;
  bias: string | null;
}

export function loraNames({ name, kind }: LoraTarget, config: LoraConfig): LoraNames {
  const factors =
    kind === 'embedding'
      ? { a: `${name}.lora_embedding_A`, b: `${name}.lora_embedding_B` }
      : { a: `${name}.lora_A.weight`, b: `${name}.lora_B.weight` };
  return {
    ...factors,
    magnitude: config.use_dora ? `${name}.lora_magnitude_vector` : null,
    bias: config.lora_bias ? `${name}.lora_B.bias` : null,
  };
}

/** The paths of adapted modules, those that hold adapted matrices of experts among them. */
export const wrappedModules = (modules: readonly string[], experts: readonly ExpertTarget[]): Set<string> =>
  new Set([...modules, ...experts.map(({ name }) => name.slice(0, name.lastIndexOf('.')))]);

/** The names of A and B of experts' matrices in PEFT's files. */
export const expertNames = ({ holder }: ExpertTarget): Pick<LoraNames, 'a' | 'b'> => ({
  a: `${holder}.lora_A.weight`,
  b: `${holder}.lora_B.weight`,
});

/**
 * The rows that trainable_token_indices selects. Throws `target_modules_not_found` for a name that matches no module, and
 * `invalid_peft_config` for invalid ids.
 */
export function loraTokenTargets(config: LoraConfig, model: ModelOutline): TokenTarget[] {
  const wanted = tokensByModule(config, model);
  for (const { entry, modules } of wanted)
    if (modules.length === 0) throw notFoundError('trainable_token_indices', entry, model.modules);
  const byModule = wanted.flatMap(({ modules, ids }) => modules.map((module) => ({ module, ids })));
  return tokenTargets(byModule, model, 'trainable_token_indices');
}

/** The entries of trainable_token_indices, with the full names of the modules that each selects. */
function tokensByModule(
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
