import type { InputSpecs, InputTensors, ProgramFunction, Variable } from './program.ts';

/** What the builder's variables mean just now: a program sets it while a body runs. */
export interface CurrentRun {
  variables: ReadonlyMap<string, Variable> | null;
}

export function callBody(
  current: CurrentRun,
  variables: ReadonlyMap<string, Variable>,
  fn: ProgramFunction,
  inputs: InputTensors<InputSpecs>,
) {
  if (current.variables) throw new Error(`function "${fn.name}" cannot run inside another function's body`);
  current.variables = variables;
  try {
    return fn.body(inputs);
  } finally {
    current.variables = null;
  }
}
