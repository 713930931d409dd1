import { areEqual, isDict, isFloat, iterate, numberOf, order, text, type Value } from './values.ts';

type Test = (value: Value, ...args: readonly Value[]) => boolean;

const isWhole = (value: Value) => numberOf(value) !== null && !isFloat(value);
const modulo = (value: Value, by: number): number => {
  const number = numberOf(value);
  if (number === null) throw new Error('expected a number');
  return ((number % by) + by) % by;
};
/** Undefined behaves as an empty list. */
const isIterable = (value: Value) =>
  value === undefined || typeof value === 'string' || Array.isArray(value) || isDict(value);

/** Jinja's tests. */
export const TESTS: Readonly<Record<string, Test | undefined>> = Object.assign(Object.create(null), {
  boolean: (value: Value) => typeof value === 'boolean',
  callable: (value: Value) => typeof value === 'function',
  defined: (value: Value) => value !== undefined,
  divisibleby: (value: Value, by: Value) => modulo(value, numberOf(by) ?? Number.NaN) === 0,
  eq: areEqual,
  equalto: areEqual,
  even: (value: Value) => modulo(value, 2) === 0,
  false: (value: Value) => value === false,
  float: isFloat,
  ge: (value: Value, other: Value) => order(value, other) >= 0,
  gt: (value: Value, other: Value) => order(value, other) > 0,
  greaterthan: (value: Value, other: Value) => order(value, other) > 0,
  in: (value: Value, container: Value) => contains(container, value),
  integer: (value: Value) => isWhole(value) && typeof value !== 'boolean',
  iterable: isIterable,
  le: (value: Value, other: Value) => order(value, other) <= 0,
  lower: (value: Value) => isCased(text(value), 'toLowerCase'),
  lt: (value: Value, other: Value) => order(value, other) < 0,
  lessthan: (value: Value, other: Value) => order(value, other) < 0,
  mapping: isDict,
  ne: (value: Value, other: Value) => !areEqual(value, other),
  none: (value: Value) => value === null,
  number: (value: Value) => numberOf(value) !== null,
  odd: (value: Value) => modulo(value, 2) === 1,
  sameas: (value: Value, other: Value) => value === other,
  sequence: isIterable,
  string: (value: Value) => typeof value === 'string',
  true: (value: Value) => value === true,
  undefined: (value: Value) => value === undefined,
  upper: (value: Value) => isCased(text(value), 'toUpperCase'),
} satisfies Record<string, Test>);

function isCased(value: string, change: 'toLowerCase' | 'toUpperCase'): boolean {
  return value === value[change]() && value.toLowerCase() !== value.toUpperCase();
}

/** Python's `in`. */
export function contains(container: Value, value: Value): boolean {
  if (typeof container === 'string') {
    if (typeof value !== 'string') throw new Error('a str contains only other ones');
    return container.includes(value);
  }
  if (isDict(container)) return typeof value === 'string' && Object.hasOwn(container, value);
  return iterate(container).some((item) => areEqual(item, value));
}
