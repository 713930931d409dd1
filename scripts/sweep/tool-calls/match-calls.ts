import type { PossibleCall } from './questions.ts';

export interface Call {
  name: string;
  arguments: Record<string, unknown>;
}

/** Returns true if the calls are those of the answer, in any order: the names, and for each parameter one of its acceptable values. */
export function matchesCalls(calls: readonly Call[], possible: readonly PossibleCall[]): boolean {
  if (calls.length !== possible.length) return false;
  const left = [...possible];
  for (const call of calls) {
    const at = left.findIndex((each) => matchesCall(call, each));
    if (at === -1) return false;
    left.splice(at, 1);
  }
  return true;
}

function matchesCall(call: Call, possible: PossibleCall): boolean {
  if (call.name !== possible.name) return false;
  if (Object.keys(call.arguments).some((name) => !Object.hasOwn(possible.arguments, name))) return false;
  return Object.entries(possible.arguments).every(([name, values]) =>
    Object.hasOwn(call.arguments, name)
      ? listOf(values).some((value) => isEqual(call.arguments[name], value))
      : isOptional(values),
  );
}

/** Some answers have one value instead of a list. */
const listOf = (values: unknown): unknown[] => (Array.isArray(values) ? values : [values]);

const isOptional = (values: unknown): boolean => listOf(values).length === 0 || listOf(values).includes('');

/** `expected`: a value; an object has a list of acceptable values for each of its fields, as parameters have. */
function isEqual(value: unknown, expected: unknown): boolean {
  if (Array.isArray(expected))
    return (
      Array.isArray(value) &&
      value.length === expected.length &&
      expected.every((part, i) => isEqual(value[i], part))
    );
  if (typeof expected !== 'object' || expected === null) return value === expected;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return matchesCall(
    { name: '', arguments: value as Record<string, unknown> },
    { name: '', arguments: expected as PossibleCall['arguments'] },
  );
}

/** One call of the answer to train on: the first acceptable values, without parameters that may be left out. */
export function callOf({ name, arguments: possible }: PossibleCall): Call {
  const given = Object.entries(possible).filter(([, values]) => !isOptional(values));
  return {
    name,
    arguments: Object.fromEntries(given.map(([key, values]) => [key, firstValue(listOf(values)[0])])),
  };
}

function firstValue(expected: unknown): unknown {
  if (Array.isArray(expected)) return expected.map(firstValue);
  if (typeof expected !== 'object' || expected === null) return expected;
  return callOf({ name: '', arguments: expected as PossibleCall['arguments'] }).arguments;
}
