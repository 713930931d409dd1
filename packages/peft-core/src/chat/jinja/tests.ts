import type { TemplateBudget } from '../template-budget.ts';
import { areEqual, isDict, isFloat, iterate, numberOf, order, text, type Value } from './values.ts';

/** A test of Jinja. `other`: its argument, if it takes one. */
type Test = (value: Value, other: Value, budget: TemplateBudget) => boolean;

const isWhole = (value: Value) => numberOf(value) !== null && !isFloat(value);
const modulo = (value: Value, by: number): number => {
  const number = numberOf(value);
  if (number === null) throw new Error('expected a number');
  return ((number % by) + by) % by;
};
/** Undefined behaves as an empty list. */
const isIterable = (value: Value) =>
  value === undefined || typeof value === 'string' || Array.isArray(value) || isDict(value);
const isGreater: Test = (value, other, budget) => order(value, other, budget) > 0;
const isLess: Test = (value, other, budget) => order(value, other, budget) < 0;

export const TESTS: Readonly<Record<string, Test>> = {
  boolean: (value) => typeof value === 'boolean',
  callable: (value) => typeof value === 'function',
  defined: (value) => value !== undefined,
  divisibleby: (value, by) => modulo(value, numberOf(by) ?? Number.NaN) === 0,
  eq: areEqual,
  equalto: areEqual,
  even: (value) => modulo(value, 2) === 0,
  false: (value) => value === false,
  float: isFloat,
  ge: (value, other, budget) => order(value, other, budget) >= 0,
  gt: isGreater,
  greaterthan: isGreater,
  in: (value, container, budget) => contains(container, value, budget),
  integer: (value) => isWhole(value) && typeof value !== 'boolean',
  iterable: isIterable,
  le: (value, other, budget) => order(value, other, budget) <= 0,
  lower: (value, _, budget) => isCased(text(value, budget), 'toLowerCase'),
  lt: isLess,
  lessthan: isLess,
  mapping: isDict,
  ne: (value, other, budget) => !areEqual(value, other, budget),
  none: (value) => value === null,
  number: (value) => numberOf(value) !== null,
  odd: (value) => modulo(value, 2) === 1,
  sameas: (value, other, budget) => {
    budget.spend(typeof value === 'string' ? value.length : 0);
    return value === other;
  },
  sequence: isIterable,
  string: (value) => typeof value === 'string',
  true: (value) => value === true,
  undefined: (value) => value === undefined,
  upper: (value, _, budget) => isCased(text(value, budget), 'toUpperCase'),
};

/** The test of this name. Throws for one that Jinja does not have. */
export function testOf(name: string): Test {
  if (Object.hasOwn(TESTS, name)) return TESTS[name]!;
  throw new Error(`no test named '${name}'`);
}

function isCased(value: string, change: 'toLowerCase' | 'toUpperCase'): boolean {
  return value === value[change]() && value.toLowerCase() !== value.toUpperCase();
}

/** Python's `in`. */
export function contains(container: Value, value: Value, budget: TemplateBudget): boolean {
  if (typeof container === 'string') {
    if (typeof value !== 'string') throw new Error('a str contains only other ones');
    budget.search(container, value);
    return container.includes(value);
  }
  budget.spend();
  if (isDict(container)) return typeof value === 'string' && Object.hasOwn(container, value);
  return iterate(container, budget).some((item) => areEqual(item, value, budget));
}
