import type { ProgramBuilder, TypedArray, Variable } from '@graft/tf-graph';
import type { TensorSource } from '../files.ts';
import type { FrozenWeight } from '../nn/weight.ts';
import type { ModelOutline } from '../outlines/outline.ts';
import {
  type BaseStorage,
  NF4_TABLE,
  type StoredPart,
  type StoredWeight,
  storedWeights,
} from './base-storage.ts';
import { int8Form, nf4Form, plainForm, stackedForm, type WeightForm } from './weight-forms.ts';

/** One or several frozen weights that are stored together. */
export interface WeightGroup {
  /** Prefix of its variables' names. */
  name: string;
  /** Parameter names. */
  members: string[];
  parts: StoredPart[];
  /** Writes the values of the parts, in order, from the base model's tensors of the members. Each array has the type of its part, and zeros. */
  write(tensors: TensorSource, names: string[], values: TypedArray[]): Promise<void>;
  /** The members' weights, read from the parts' variables. */
  weights(variables: Variable[], nf4Table: Variable | null): FrozenWeight[];
}

/**
 * How every frozen weight is stored in a program. `stacks` are linear modules whose matrices are stored as one, unless they are
 * quantised.
 */
export function weightGroups(
  outline: ModelOutline,
  storage: BaseStorage,
  withHead: boolean,
  stacks: readonly string[][],
): WeightGroup[] {
  const stored = new Map(storedWeights(outline, storage, withHead).map((weight) => [weight.name, weight]));
  const groups: WeightGroup[] = [];
  for (const stack of stacks) {
    const own = stack.map((module) => stored.get(`${module}.weight`)!);
    const dtype = own[0]!.storage;
    if (dtype !== 'float32' && dtype !== 'bfloat16') continue;
    const members = own.map(({ name }) => name);
    for (const name of members) stored.delete(name);
    const shapes = own.map(({ shape }) => shape);
    groups.push({ name: members.join('+'), members, ...stackedForm(shapes, dtype) });
  }
  for (const weight of stored.values()) {
    const form = formOf(weight);
    groups.push({
      name: weight.name,
      members: [weight.name],
      parts: form.parts,
      write: (tensors, [name], values) => form.write(tensors, name!, values),
      weights: (variables, table) => [form.weight(variables, table)],
    });
  }
  return groups;
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

/** Declares the base model's weights as variables of a program. Returns the weights by parameter name. */
export function declareWeights(
  builder: ProgramBuilder,
  outline: ModelOutline,
  storage: BaseStorage,
  withHead: boolean,
  stacks: readonly string[][] = [],
): Map<string, FrozenWeight> {
  const table = storage === 'nf4' ? builder.variable({ ...NF4_TABLE, dtype: 'float32' }) : null;
  const weights = new Map<string, FrozenWeight>();
  for (const group of weightGroups(outline, storage, withHead, stacks)) {
    const variables = group.parts.map(({ suffix, shape, dtype }) =>
      builder.variable({ name: group.name + suffix, shape, dtype }),
    );
    for (const [i, weight] of group.weights(variables, table).entries())
      weights.set(group.members[i]!, weight);
  }
  return weights;
}
