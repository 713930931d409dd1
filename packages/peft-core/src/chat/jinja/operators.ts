import type { TemplateBudget } from '../template-budget.ts';
import type { Evaluate, Node } from './state.ts';
import { contains } from './tests.ts';
import {
  areEqual,
  float,
  isFloat,
  isTrue,
  numberOf,
  order,
  Tuple,
  text,
  typeName,
  type Value,
} from './values.ts';

/** Compiles a binary expression, its operands by `compile`. */
export function binary(node: Node, compile: (node: Node) => Evaluate): Evaluate {
  const left = compile(node.left as Node);
  const right = compile(node.right as Node);
  const operator = (node.operator as Node).value as string;
  if (operator === 'and' || operator === 'or') {
    const isAnd = operator === 'and';
    return (scope, state) => {
      const value = left(scope, state);
      return isTrue(value, state.budget) === isAnd ? right(scope, state) : value;
    };
  }
  const operate = OPERATORS[operator];
  if (!operate) throw new Error(`the operator ${operator} is not supported`);
  return (scope, state) => operate(left(scope, state), right(scope, state), state.budget);
}

type Operator = (a: Value, b: Value, budget: TemplateBudget) => Value;

/** All operators but `and` and `or`. */
export const OPERATORS: Record<string, Operator> = {
  '==': areEqual,
  '!=': (a, b, budget) => !areEqual(a, b, budget),
  in: (a, b, budget) => contains(b, a, budget),
  'not in': (a, b, budget) => !contains(b, a, budget),
  '<': (a, b, budget) => order(a, b, budget) < 0,
  '>': (a, b, budget) => order(a, b, budget) > 0,
  '<=': (a, b, budget) => order(a, b, budget) <= 0,
  '>=': (a, b, budget) => order(a, b, budget) >= 0,
  '~'(a, b, budget) {
    const joined = text(a, budget) + text(b, budget);
    budget.spend(joined.length);
    return joined;
  },
  '+'(a, b, budget) {
    if (typeof a === 'string' && typeof b === 'string') {
      budget.spend(a.length + b.length);
      return a + b;
    }
    if (Array.isArray(a) && Array.isArray(b) && a instanceof Tuple === b instanceof Tuple) {
      budget.spend(0, a.length + b.length);
      return a.concat(b);
    }
    return arithmetic('+', a, b, (x, y) => x + y);
  },
  '-': (a, b) => arithmetic('-', a, b, (x, y) => x - y),
  '*'(a, b, budget) {
    const [of, times] = numberOf(a) === null ? [a, numberOf(b)] : [b, numberOf(a)];
    if (numberOf(of) !== null) return arithmetic('*', a, b, (x, y) => x * y);
    if ((typeof of !== 'string' && !Array.isArray(of)) || times === null) throw unsupported('*', a, b);
    const length = of.length * Math.max(0, times);
    if (typeof of === 'string') {
      budget.spend(length);
      return of.repeat(Math.max(0, times));
    }
    budget.spend(0, length);
    return Array.from({ length }, (_, i) => of[i % of.length]);
  },
  '/'(a, b) {
    const result = arithmetic('/', a, b, (x, y) => divided(x, y));
    return typeof result === 'number' ? float(result) : result;
  },
  '//': (a, b) => arithmetic('//', a, b, (x, y) => Math.floor(divided(x, y))),
  '%'(a, b) {
    if (typeof a === 'string') throw new Error('% of a text is not supported');
    // Python's remainder has the sign of the divisor.
    return arithmetic('%', a, b, (x, y) => x - y * Math.floor(divided(x, y)));
  },
  '**': (a, b) => arithmetic('**', a, b, (x, y) => x ** y),
};

function divided(x: number, y: number): number {
  if (y === 0) throw new Error('division by zero');
  return x / y;
}

function arithmetic(operator: string, a: Value, b: Value, compute: (x: number, y: number) => number): Value {
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x === null || y === null) throw unsupported(operator, a, b);
  const result = compute(x, y);
  return isFloat(a) || isFloat(b) ? float(result) : result;
}

const unsupported = (operator: string, a: Value, b: Value) =>
  new Error(`unsupported operand types for ${operator}: '${typeName(a)}' and '${typeName(b)}'`);
