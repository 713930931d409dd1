import type { FunctionSpec, Variable } from './program.ts';
import type { tf } from './tensorflow.ts';

/** What the builder's variables mean just now: a program sets it while a body runs. */
export interface CurrentRun {
  variables: ReadonlyMap<string, Variable> | null;
}

export function callBody(
  current: CurrentRun,
  variables: ReadonlyMap<string, Variable>,
  spec: FunctionSpec,
  inputs: Record<string, tf.Tensor>,
) {
  if (current.variables) throw new Error(`function "${spec.name}" cannot run inside another function's body`);
  current.variables = variables;
  try {
    return spec.body(inputs);
  } finally {
    current.variables = null;
  }
}
