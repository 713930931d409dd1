import type { Architecture } from '../../models/architecture.ts';
import { embeddingCopies } from '../embedding-copies.ts';
import { addMerge, savedModules } from '../saved-modules.ts';
import type { AdapterParameter, Attachment, EmbeddingWrapper, LinearWrapper, Merge } from '../tuner.ts';
import { type MatrixOptions, type MatrixTarget, writtenConfig } from './targets.ts';
import { addBiases, biasCopies } from './trained-biases.ts';

/** What a method does with one module. */
interface MatrixChange {
  parameters: AdapterParameter[];
  linear?: LinearWrapper;
  embedding?: EmbeddingWrapper;
  merge: Merge;
}

/** The attachment of a method that changes the weights of modules: each target's change, saved modules, and biases. */
export function attachMatrices<Config extends MatrixOptions, Target extends MatrixTarget>(
  config: Config,
  model: Architecture,
  targets: Target[],
  changeOf: (target: Target) => MatrixChange,
): Attachment {
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
    written: writtenConfig(config, model) as unknown as Attachment['written'] & object,
  };
}
