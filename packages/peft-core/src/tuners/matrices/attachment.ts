import type { Architecture } from '../../models/architecture.ts';
import { embeddingCopies } from '../attach/embedding-copies.ts';
import { addMerge, savedModules } from '../attach/saved-modules.ts';
import { MODEL_PREFIX } from '../file-tensors.ts';
import type { PeftConfig } from '../methods.ts';
import type {
  AdapterParameter,
  Attachment,
  EmbeddingWrapper,
  LinearWrapper,
  Merge,
  Tuner,
} from '../tuner.ts';
import type { MatrixConfig, MatrixMethod } from './method.ts';
import { type MatrixTarget, writtenConfig } from './targets.ts';
import { addBiases, biasCopies } from './trained-biases.ts';

interface MatrixChange {
  parameters: AdapterParameter[];
  linear?: LinearWrapper;
  embedding?: EmbeddingWrapper;
  merge: Merge;
}

/** The tuner of a method that changes whole weights. `dropouts` lists the options that enable dropout; absent: none. */
export const matrixTuner = <Config extends MatrixConfig & PeftConfig, Target extends MatrixTarget>(
  method: MatrixMethod<Config, Target>,
  changeOf: (target: Target, config: Config) => MatrixChange,
  dropouts?: (config: Config) => (keyof Config & string)[],
): Tuner<Config> => ({
  keyPrefix: MODEL_PREFIX,
  attach: (config, model) =>
    attachMatrices(method, config, model, (target) => changeOf(target, config), dropouts?.(config)),
});

/** The attachment of such a method: each target's change, saved modules, and biases. */
export function attachMatrices<Config extends MatrixConfig, Target extends MatrixTarget>(
  method: MatrixMethod<Config, Target>,
  config: Config,
  model: Architecture,
  changeOf: (target: Target) => MatrixChange,
  dropouts: (keyof Config & string)[] = [],
): Attachment {
  method.check(config, model);
  const targets = method.targets(config, model);
  const active = dropouts.find((option) => (config[option] as number) > 0);
  const saved = savedModules(config, model);
  const { parameters, replacements, merges } = saved;
  const names = targets.map(({ name }) => name);
  const bias = config.bias ?? 'none';
  addBiases(saved, bias, model, new Set(names));
  const linears = new Map<string, LinearWrapper>();
  const embeddings = new Map<string, EmbeddingWrapper>();
  for (const target of targets) {
    const change = changeOf(target);
    parameters.push(...change.parameters);
    if (change.linear) linears.set(target.name, change.linear);
    if (change.embedding) embeddings.set(target.name, change.embedding);
    addMerge(merges, `${target.name}.weight`, change.merge);
  }
  return {
    parameters,
    linears,
    embeddings,
    replacements,
    merges,
    copies: [...embeddingCopies(config.target_modules, names, model), ...biasCopies(saved, bias, model)],
    written: writtenConfig(config, model) as unknown as PeftConfig,
    ...(active && { drops: `${active} ${config[active]}` }),
  };
}
