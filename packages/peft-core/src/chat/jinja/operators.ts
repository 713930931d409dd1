import { charged, type Evaluate, type Node, type State } from './state.ts';
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

/** Maximum length of a text or a list that is repeated by `*`. */
const MAX_REPEATED = 1 << 20;

/** Compiles a binary expression, its operands by `compile`. */
export function binary(node: Node, compile: (node: Node) => Evaluate): Evaluate {
  const left = compile(node.left as Node);
  const right = compile(node.right as Node);
  const operator = (node.operator as Node).value as string;
  if (operator === 'and' || operator === 'or') {
    const isAnd = operator === 'and';
    return (scope, state) => {
      const value = left(scope, state);
      return isTrue(value) === isAnd ? right(scope, state) : value;
    };
  }
  const operate = OPERATORS[operator];
  if (!operate) throw new Error(`the operator ${operator} is not supported`);
  return (scope, state) => operate(left(scope, state), right(scope, state), state);
}

type Operator = (a: Value, b: Value, state: State) => Value;

const OPERATORS: Record<string, Operator> = {
  '==': (a, b, state) => areEqual(a, charged(b, state)),
  '!=': (a, b, state) => !areEqual(a, charged(b, state)),
  in: (a, b, state) => contains(charged(b, state), a),
  'not in': (a, b, state) => !contains(charged(b, state), a),
  '<': (a, b) => order(a, b) < 0,
  '>': (a, b) => order(a, b) > 0,
  '<=': (a, b) => order(a, b) <= 0,
  '>=': (a, b) => order(a, b) >= 0,
  '~'(a, b, state) {
    const joined = text(a) + text(b);
    state.budget.spend(joined.length);
    return joined;
  },
  '+'(a, b, state) {
    if (typeof a === 'string' && typeof b === 'string') {
      state.budget.spend(a.length + b.length);
      return a + b;
    }
    if (Array.isArray(a) && Array.isArray(b) && a instanceof Tuple === b instanceof Tuple) {
      state.budget.spend(0, a.length + b.length);
      return a.concat(b);
    }
    return arithmetic('+', a, b, (x, y) => x + y);
  },
  '-': (a, b) => arithmetic('-', a, b, (x, y) => x - y),
  '*'(a, b, state) {
    const [of, times] = numberOf(a) === null ? [a, numberOf(b)] : [b, numberOf(a)];
    if (numberOf(of) !== null) return arithmetic('*', a, b, (x, y) => x * y);
    if ((typeof of !== 'string' && !Array.isArray(of)) || times === null) throw unsupported('*', a, b);
    const length = of.length * Math.max(0, times);
    if (length > MAX_REPEATED) throw new Error('a repeated value is too long');
    state.budget.spend(length, 0);
    if (typeof of === 'string') return of.repeat(Math.max(0, times));
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
