import type { ProgramBuilder } from '@graft/tf-graph';
import type { FrozenWeight } from '../nn/weight.ts';
import type { ModelOutline } from '../outlines/outline.ts';
import { type BaseStorage, NF4_TABLE, type StoredWeight, storedWeights } from './base-storage.ts';
import { int8Form, nf4Form, plainForm, type WeightForm } from './weight-forms.ts';

/** The form of every frozen weight, by name. */
export function weightForms(
  outline: ModelOutline,
  storage: BaseStorage,
  withHead: boolean,
): Map<string, WeightForm> {
  return new Map(storedWeights(outline, storage, withHead).map((weight) => [weight.name, formOf(weight)]));
}

function formOf({ shape, storage, transposed }: StoredWeight): WeightForm {
  switch (storage) {
    case 'float32':
    case 'bfloat16':
      return plainForm(shape, storage);
    case 'int8':
      return int8Form(shape, transposed);
    case 'nf4':
      return nf4Form(shape);
  }
}

/** Declares the base model's weights as variables of a program, by parameter name. */
export function declareWeights(
  builder: ProgramBuilder,
  outline: ModelOutline,
  storage: BaseStorage,
  withHead: boolean,
): Map<string, FrozenWeight> {
  const table = storage === 'nf4' ? builder.variable({ ...NF4_TABLE, dtype: 'float32' }) : null;
  const weights = new Map<string, FrozenWeight>();
  for (const [name, form] of weightForms(outline, storage, withHead)) {
    const variables = form.parts.map(({ suffix, shape, dtype }) =>
      builder.variable({ name: name + suffix, shape, dtype }),
    );
    weights.set(name, form.weight(variables, table));
  }
  return weights;
}
