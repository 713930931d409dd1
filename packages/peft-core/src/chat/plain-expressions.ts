import { pieces, strip } from './jinja/texts.ts';
import { lengthOf } from './jinja/values.ts';
import {
  LoopState,
  MessageList,
  MessageValue,
  Namespace,
  NOT_PLAIN,
  type Scope,
  type Value,
} from './plain-values.ts';
import type { TemplateBudget } from './template-budget.ts';

/** Callbacks with which expressions report what they read from the rendering. */
export interface Reads {
  readonly budget: TemplateBudget;
  /** Message `index` was read, counted from 0 in the whole conversation; negative: counted from the end. */
  message(index: number): void;
  /** Something was read that depends on later messages. */
  ahead(): void;
  generationPrompt(): void;
  strftime(format: string): string;
}

export type Evaluate = (scope: Scope, reads: Reads) => Value;

/** A node of the parsed template, as produced by the parser of @huggingface/jinja. */
export interface Node {
  readonly type: string;
  readonly [field: string]: unknown;
}

const notPlain: Evaluate = () => {
  throw NOT_PLAIN;
};

/** Compiles an expression to a function. Expressions outside the plain subset throw NOT_PLAIN only when evaluated. */
export function compileExpression(node: Node): Evaluate {
  switch (node.type) {
    case 'StringLiteral':
    case 'IntegerLiteral': {
      const value = node.value as string | number;
      return () => value;
    }
    case 'ArrayLiteral': {
      const items = (node.value as Node[]).map(compileExpression);
      return (scope, reads) => items.map((item) => item(scope, reads));
    }
    case 'Identifier':
      return variable(node.value as string);
    case 'MemberExpression':
      return member(node);
    case 'BinaryExpression':
      return binary(node);
    case 'UnaryExpression': {
      if ((node.operator as Node).value !== 'not') return notPlain;
      const argument = compileExpression(node.argument as Node);
      return (scope, reads) => !isTrue(argument(scope, reads), reads);
    }
    case 'Ternary':
      return choice(node.condition as Node, node.trueExpr as Node, node.falseExpr as Node);
    case 'SelectExpression':
      return choice(node.test as Node, node.lhs as Node, null);
    case 'TestExpression':
      return test(node);
    case 'FilterExpression':
      return filter(node);
    case 'CallExpression':
      return call(node);
    default:
      return notPlain;
  }
}

function variable(name: string): Evaluate {
  if (name !== 'add_generation_prompt') return (scope) => scope.get(name);
  return (scope, reads) => {
    reads.generationPrompt();
    return scope.get(name);
  };
}

/** Truth as in Jinja: empty strings, empty lists and 0 are false. */
export function isTrue(value: Value, reads: Reads): boolean {
  if (value === null || value === undefined) return false;
  if (typeof value !== 'object') return Boolean(value);
  if (value instanceof MessageList) {
    reads.ahead();
    return value.all.length > value.start;
  }
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof MessageValue) return true;
  throw NOT_PLAIN;
}

function choice(condition: Node, whenTrue: Node, whenFalse: Node | null): Evaluate {
  const test = compileExpression(condition);
  const yes = compileExpression(whenTrue);
  const no: Evaluate = whenFalse ? compileExpression(whenFalse) : () => undefined;
  return (scope, reads) => (isTrue(test(scope, reads), reads) ? yes(scope, reads) : no(scope, reads));
}

/** Methods that every Jinja object has in addition to its fields. */
const METHODS = new Set(['get', 'items', 'keys', 'values', 'dictsort']);

function member(node: Node): Evaluate {
  const object = compileExpression(node.object as Node);
  const property = node.property as Node;
  if (node.computed && property.type === 'SliceExpression') return slice(object, property);
  const key: Evaluate =
    node.computed || property.type === 'IntegerLiteral'
      ? compileExpression(property)
      : () => property.value as string;
  return (scope, reads) => {
    const of = object(scope, reads);
    const name = key(scope, reads);
    if (typeof name === 'string') return fieldOf(of, name, reads);
    if (typeof name !== 'number') throw NOT_PLAIN;
    if (of instanceof MessageList) {
      const index = name < 0 ? name : of.start + name;
      reads.message(index);
      const message = name < 0 ? of.all.slice(of.start).at(name) : of.all[index];
      return message && new MessageValue(message);
    }
    if (Array.isArray(of)) return of.at(name) as Value;
    throw NOT_PLAIN;
  };
}

function fieldOf(of: Value, name: string, reads: Reads): Value {
  if (of instanceof MessageValue) {
    if (Object.hasOwn(of.fields, name)) {
      const value = of.fields[name];
      if (typeof value !== 'string' && value !== null) throw NOT_PLAIN;
      return value;
    }
    if (METHODS.has(name)) throw NOT_PLAIN;
    return undefined;
  }
  if (of instanceof Namespace) return of.values.get(name);
  if (!(of instanceof LoopState)) throw NOT_PLAIN;
  switch (name) {
    case 'index0':
      return of.index0;
    case 'index':
      return of.index0 + 1;
    case 'first':
      return of.index0 === 0;
    case 'last':
      if (of.overMessages) reads.ahead();
      return of.index0 === of.length - 1;
    case 'length':
      if (of.overMessages) reads.ahead();
      return of.length;
    default:
      throw NOT_PLAIN;
  }
}

/** `messages[1:]`; other slices are outside the plain subset. */
function slice(object: Evaluate, { start, stop, step }: Node): Evaluate {
  if (stop !== undefined || step !== undefined) return notPlain;
  const from: Evaluate = start ? compileExpression(start as Node) : () => 0;
  return (scope, reads) => {
    const of = object(scope, reads);
    const skipped = from(scope, reads);
    if (!(of instanceof MessageList) || typeof skipped !== 'number' || skipped < 0) throw NOT_PLAIN;
    if (skipped > 0) reads.message(of.start + skipped - 1);
    return new MessageList(of.all, Math.min(of.all.length, of.start + skipped));
  };
}

function binary(node: Node): Evaluate {
  const left = compileExpression(node.left as Node);
  const right = compileExpression(node.right as Node);
  const operator = (node.operator as Node).value as string;
  switch (operator) {
    case 'and':
    case 'or': {
      const and = operator === 'and';
      return (scope, reads) => {
        const value = left(scope, reads);
        return isTrue(value, reads) === and ? right(scope, reads) : value;
      };
    }
    case '==':
      return (scope, reads) => areEqual(left(scope, reads), right(scope, reads), reads);
    case '!=':
      return (scope, reads) => !areEqual(left(scope, reads), right(scope, reads), reads);
    case 'in':
      return (scope, reads) => isIn(left(scope, reads), right(scope, reads), reads);
    case 'not in':
      return (scope, reads) => !isIn(left(scope, reads), right(scope, reads), reads);
    case '+':
    case '~':
      return (scope, reads) => {
        const a = left(scope, reads);
        const b = right(scope, reads);
        if (typeof a === 'string' && typeof b === 'string') {
          reads.budget.spend(a.length + b.length);
          return a + b;
        }
        if (typeof a === 'number' && typeof b === 'number' && operator === '+') return a + b;
        throw NOT_PLAIN;
      };
    default: {
      const compute = ARITHMETIC[operator];
      if (!compute) return notPlain;
      return (scope, reads) => {
        const a = left(scope, reads);
        const b = right(scope, reads);
        if (typeof a !== 'number' || typeof b !== 'number') throw NOT_PLAIN;
        return compute(a, b);
      };
    }
  }
}

const ARITHMETIC: Record<string, (a: number, b: number) => number | boolean> = {
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  // Python's remainder has the sign of the divisor.
  '%': (a, b) => a - b * Math.floor(a / b),
  '<': (a, b) => a < b,
  '>': (a, b) => a > b,
  '<=': (a, b) => a <= b,
  '>=': (a, b) => a >= b,
};

function isObject(value: Value): boolean {
  return typeof value === 'object' && value !== null;
}

function areEqual(a: Value, b: Value, { budget }: Reads): boolean {
  if (isObject(a) || isObject(b)) throw NOT_PLAIN;
  if (a === undefined || b === undefined || a === null || b === null) return a === b;
  if (typeof a !== typeof b) throw NOT_PLAIN;
  if (typeof a === 'string') budget.spend(a.length);
  return a === b;
}

function isIn(value: Value, container: Value, { budget }: Reads): boolean {
  if (container === undefined) return false;
  if (typeof value !== 'string') throw NOT_PLAIN;
  if (typeof container === 'string') {
    budget.search(container, value);
    return container.includes(value);
  }
  if (Array.isArray(container)) {
    const same = container.filter((item) => typeof item === 'string' && item.length === value.length);
    budget.read(container.length);
    budget.spend(same.length * value.length);
    return same.includes(value);
  }
  if (container instanceof MessageValue) return Object.hasOwn(container.fields, value);
  throw NOT_PLAIN;
}

function test(node: Node): Evaluate {
  const operand = compileExpression(node.operand as Node);
  const passes = TESTS[(node.test as Node).value as string];
  const negate = node.negate as boolean;
  if (!passes) return notPlain;
  return (scope, reads) => passes(operand(scope, reads)) !== negate;
}

const TESTS: Record<string, (value: Value) => boolean> = {
  defined: (value) => value !== undefined,
  undefined: (value) => value === undefined,
  none: (value) => value === null,
  string: (value) => typeof value === 'string',
  true: (value) => value === true,
  false: (value) => value === false,
};

function filter(node: Node): Evaluate {
  const operand = compileExpression(node.operand as Node);
  const { type, value: name } = node.filter as Node;
  if (type !== 'Identifier') return notPlain;
  return (scope, reads) => {
    const value = operand(scope, reads);
    if (name === 'length' && value instanceof MessageList) {
      reads.ahead();
      return value.all.length - value.start;
    }
    if (typeof value !== 'string') throw NOT_PLAIN;
    reads.budget.spend(value.length);
    if (name === 'trim') return strip(value);
    if (name === 'length') return lengthOf(value, reads.budget);
    if (name === 'safe' || name === 'string') return value;
    if (name === 'upper') return value.toUpperCase();
    if (name === 'lower') return value.toLowerCase();
    throw NOT_PLAIN;
  };
}

function call(node: Node): Evaluate {
  const callee = node.callee as Node;
  const given = node.args as Node[];
  if (callee.type === 'MemberExpression' && !callee.computed) return method(callee, given);
  if (callee.type !== 'Identifier') return notPlain;
  if (callee.value === 'namespace' && given.every(({ type }) => type === 'KeywordArgumentExpression')) {
    const values = given.map(
      ({ key, value }) => [(key as Node).value as string, compileExpression(value as Node)] as const,
    );
    return (scope, reads) => {
      const namespace = new Namespace();
      for (const [name, value] of values) namespace.values.set(name, value(scope, reads));
      return namespace;
    };
  }
  if (callee.value === 'strftime_now' && given.length === 1) {
    const format = compileExpression(given[0]!);
    return (scope, reads) => {
      const value = format(scope, reads);
      if (typeof value !== 'string') throw NOT_PLAIN;
      reads.budget.spend(value.length);
      return reads.strftime(value);
    };
  }
  // Also raise_exception: the interpreter produces its error message.
  return notPlain;
}

/** String methods. */
function method(callee: Node, given: Node[]): Evaluate {
  const object = compileExpression(callee.object as Node);
  const name = (callee.property as Node).value as string;
  const args = given.map(compileExpression);
  return (scope, reads) => {
    const text = object(scope, reads);
    const values = args.map((arg) => arg(scope, reads));
    if (typeof text !== 'string' || !values.every((each) => typeof each === 'string')) throw NOT_PLAIN;
    const [first, ...more] = values as string[];
    if (more.length > 0) throw NOT_PLAIN;
    reads.budget.spend(text.length);
    if (first === undefined) {
      if (name === 'strip') return strip(text);
      if (name === 'lstrip') return strip(text, 'left');
      if (name === 'rstrip') return strip(text, 'right');
    } else {
      if (name === 'startswith') return text.startsWith(first);
      if (name === 'endswith') return text.endsWith(first);
      if (name === 'split' && first !== '') return pieces(text, first, -1, reads.budget);
    }
    throw NOT_PLAIN;
  };
}
