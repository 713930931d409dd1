import type { ProgramBuilder } from '@graft/tf-graph';
import type { Weight } from './nn/weight.ts';
import type { ModelOutline } from './outlines/outline.ts';

/** How matrices of the frozen base are kept; norms and biases are always float32. */
export type BaseStorage = 'float32' | 'bfloat16';

/** Declares the base model's weights as variables of a program, by parameter name. */
export function declareWeights(
  builder: ProgramBuilder,
  outline: ModelOutline,
  storage: BaseStorage,
): Map<string, Weight> {
  const weights = new Map<string, Weight>();
  for (const { name, shape, fresh } of outline.parameters) {
    if (fresh !== undefined) continue; // A task's head is the adapter's to train.
    const variable = builder.variable({ name, shape, dtype: shape.length > 1 ? storage : 'float32' });
    weights.set(name, {
      kind: 'frozen',
      shape,
      read: (...after) => variable.read({ after, stored: true }),
      gather: (ids) => variable.gather(ids),
    });
  }
  return weights;
}
