/** The modules whose weight a method changes as a whole, and the biases trained beside them. Loads no TensorFlow. */

import { GraftError } from '../../errors.ts';
import type { ModelOutline, ModuleDescription } from '../../outlines/outline.ts';
import { optionError } from '../../schema/check-fields.ts';
import { copiedEmbeddings, type FileTensor, savedTensors, underModel } from '../file-tensors.ts';
import {
  isWithin,
  resolveModulesToSave,
  resolveTargetModules,
  type TargetOptions,
  writtenTargets,
} from '../target-modules.ts';
import { copiedBiases, trainedBiases } from './biases.ts';

export interface MatrixOptions extends TargetOptions {
  peft_type: string;
  r?: number;
  fan_in_fan_out?: boolean;
  /** `all`, or a library's word for those of adapted modules; absent: none. */
  bias?: string;
  /** Ranks and alphas of modules, by the ends of their paths. */
  rank_pattern?: Record<string, number>;
  alpha_pattern?: Record<string, number>;
}

/** A module whose weight is adapted: `(out, width)`, or `(width, out)` if transposed. An embedding's `width` is its vocabulary. */
export interface MatrixTarget {
  name: string;
  kind: 'linear' | 'embedding';
  width: number;
  out: number;
  transposed: boolean;
  outputFactor: number;
}

/** Modules that a method adapts, for messages, and those that it cannot. */
interface Adaptable {
  method: string;
  embeddings?: true;
  /** Set if linear modules may store their weight as `(in, out)`, as transformers' Conv1D does. */
  transposed?: true;
}

/**
 * The modules that `config` adapts, in the model's order, without those that modules_to_save trains in full. Throws what
 * `resolveTargetModules` and `resolveModulesToSave` throw, and `invalid_peft_config` for modules that the method cannot adapt.
 */
export function matrixTargets(config: MatrixOptions, model: ModelOutline, what: Adaptable): MatrixTarget[] {
  const { modules: saved } = savedTensors(config, model);
  resolveModulesToSave(config, model.modules);
  const names = new Set(resolveTargetModules(config, model));
  const modules = model.modules.filter(({ name }) => names.has(name));
  refuseUnfit(modules, what);
  return modules
    .filter(({ name }) => !saved.some((module) => isWithin(name, module)))
    .map((module) => targetOf(module, model));
}

function refuseUnfit(modules: ModuleDescription[], { method, embeddings, transposed }: Adaptable): void {
  const fits = ({ kind }: ModuleDescription) => kind === 'linear' || (embeddings && kind === 'embedding');
  const unfit = modules.filter((module) => !fits(module));
  if (unfit.length > 0) {
    const shown = unfit.slice(0, 4).map(({ name, kind }) => `${name} (${kind})`);
    const kinds = `linear layers${embeddings ? ' and embeddings' : ''}`;
    throw optionError('target_modules', `${method} adapts ${kinds}, not ${shown.join(', ')}`);
  }
  const stored = modules.find((module) => module.transposed);
  if (stored && !transposed)
    throw optionError(
      'target_modules',
      `HF PEFT has no ${method} for layers that store their weight as (in, out), as ${stored.name} does; choose another method for this model`,
    );
}

function targetOf(module: ModuleDescription, model: ModelOutline): MatrixTarget {
  const isEmbedding = module.kind === 'embedding';
  return {
    name: module.name,
    kind: isEmbedding ? 'embedding' : 'linear',
    width: isEmbedding ? module.out! : module.in!,
    out: isEmbedding ? module.in! : module.out!,
    transposed: isEmbedding || (module.transposed ?? false),
    outputFactor: module.name === model.tokenEmbedding ? (model.embeddingFactor ?? 1) : 1,
  };
}

/** The tensors in the files of such a method, with the biases that it trains. `own` lists a target's tensors. */
export function matrixFileTensors<Target extends MatrixTarget>(
  config: MatrixOptions,
  model: ModelOutline,
  targets: Target[],
  own: (target: Target) => { name: string; shape: number[] }[],
): FileTensor[] {
  const saved = savedTensors(config, model);
  const names = targets.map(({ name }) => name);
  const bias = config.bias ?? 'none';
  const biases = trainedBiases(saved.modules, bias, model, new Set(names));
  return underModel(
    [...saved.tensors, ...biases.map(({ key, shape }) => ({ name: key, shape })), ...targets.flatMap(own)],
    [
      ...copiedEmbeddings(config.target_modules, names, model),
      ...copiedBiases(saved.modules, bias, model).flatMap(({ copy, original }) => [copy, original]),
    ],
  );
}

/** The config as HF PEFT writes it. */
export function writtenConfig<Config extends MatrixOptions>(config: Config, model: ModelOutline): Config {
  return { ...config, target_modules: writtenTargets(config, model) };
}

/** Refuses a rank above `most` for a module. */
export function checkRank(
  rank: number,
  most: number,
  { name, width, out }: MatrixTarget,
  option = 'r',
): void {
  if (rank <= most) return;
  throw new GraftError(
    'rank_too_large',
    `rank ${rank} is larger than ${name} allows, ${most}: its weight is ${out} × ${width}`,
    { param: `peft.${option}` },
  );
}
