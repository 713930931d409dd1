import type { ProgramBuilder } from '@graft/tf-graph';
import type { TrainProgram } from '../train-program.ts';

/** The functions that were added to each program, by what they depend on besides the program: jobs and trials share programs. */
const functions = new WeakMap<TrainProgram, Map<string, unknown>>();
/** Number of these functions in all programs of a builder, which need different names. */
const counts = new WeakMap<ProgramBuilder, number>();

/** Returns the program's function for `use` and `key`, which `declare` declares the first time, under the name that it is given. */
export function laterFunction<F>(
  built: TrainProgram,
  use: string,
  key: string,
  declare: (name: string) => F,
): F {
  const { builder, program } = built;
  const own = functions.get(built) ?? new Map<string, unknown>();
  functions.set(built, own);
  const full = `${use} ${key}`;
  const known = own.get(full);
  if (known !== undefined) return known as F;
  const count = (counts.get(builder) ?? 0) + 1;
  counts.set(builder, count);
  const declared = declare(`${use}_${count}`);
  builder.extend(program);
  own.set(full, declared);
  return declared;
}
