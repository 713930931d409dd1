import type { ProgramBuilder } from '@graft/tf-graph';
import type { ResolvedTraining } from '../config/index.ts';
import type { FrozenWeight } from '../nn/weight.ts';
import type { ModelOutline, ParameterSpec } from '../outlines/outline.ts';
import { int8Form, nf4Form, plainForm, type WeightForm } from './weight-forms.ts';

/** How matrices of the frozen base are kept. */
export type BaseStorage = 'float32' | 'bfloat16' | 'int8' | 'nf4';

/** What `training.base_dtype` means. "auto" follows the precision of matrix products. */
export function baseStorage(wanted: ResolvedTraining['base_dtype'], precision: 'fp32' | 'bf16'): BaseStorage {
  switch (wanted) {
    case 'auto':
      return precision === 'bf16' ? 'bfloat16' : 'float32';
    case 'fp32':
      return 'float32';
    case 'bf16':
      return 'bfloat16';
    case 'int8':
    case 'nf4':
      return wanted;
  }
}

/** The variable with NF4's look-up table of 1 MiB, in programs that store weights in NF4. */
export const NF4_TABLE = 'nf4_table';

/**
 * The form of every frozen weight, by name. Linear matrices and embedding tables are quantised; norms, biases and other
 * parameters stay float32. Under nf4 the vocabulary's head and the embeddings are int8; the paper of nf4, arXiv:2305.14314, leaves them wide.
 */
export function weightForms(
  outline: ModelOutline,
  storage: BaseStorage,
  withHead: boolean,
): Map<string, WeightForm> {
  const modules = new Map(outline.modules.map((module) => [`${module.name}.weight`, module]));
  const formOf = ({ name, shape }: ParameterSpec): WeightForm => {
    if (storage === 'float32' || shape.length < 2) return plainForm(shape, 'float32');
    if (storage === 'bfloat16') return plainForm(shape, 'bfloat16');
    const module = modules.get(name);
    if (module?.kind !== 'linear' && module?.kind !== 'embedding') return plainForm(shape, 'float32');
    const vocabularyWide = module.kind === 'embedding' || module.out === outline.vocabularySize;
    return storage === 'nf4' && !vocabularyWide
      ? nf4Form(shape)
      : int8Form(shape, module.transposed ?? false);
  };
  const frozen = frozenParameters(outline, withHead);
  return new Map(frozen.map((parameter) => [parameter.name, formOf(parameter)]));
}

/** The weights that a program holds frozen: with `withHead` also those of a task's head, which an adapter would bring. */
export function frozenParameters(outline: ModelOutline, withHead: boolean): ParameterSpec[] {
  return outline.parameters.filter(({ fresh, unread }) => !unread && (withHead || fresh === undefined));
}

/** Declares the base model's weights as variables of a program, by parameter name. */
export function declareWeights(
  builder: ProgramBuilder,
  outline: ModelOutline,
  storage: BaseStorage,
  withHead: boolean,
): Map<string, FrozenWeight> {
  const table =
    storage === 'nf4' ? builder.variable({ name: NF4_TABLE, shape: [65_536, 4], dtype: 'float32' }) : null;
  const weights = new Map<string, FrozenWeight>();
  for (const [name, form] of weightForms(outline, storage, withHead)) {
    const variables = form.parts.map(({ suffix, shape, dtype }) =>
      builder.variable({ name: name + suffix, shape, dtype }),
    );
    weights.set(name, form.weight(variables, table));
  }
  return weights;
}
