import type { TemplateBudget } from '../template-budget.ts';
import { applyFilter } from './filters.ts';
import { methodOf } from './methods.ts';
import { binary } from './operators.ts';
import { charged, chargedText, type Evaluate, made, type Node, type Scope, type State } from './state.ts';
import { testOf } from './tests.ts';
import {
  characters,
  type Dict,
  float,
  isDict,
  isTrue,
  iterate,
  keysOf,
  Loop,
  Namespace,
  numberOf,
  Tuple,
  typeName,
  type Value,
} from './values.ts';

/** Compiles an expression to a function that evaluates it as Jinja does. */
export function compileExpression(node: Node): Evaluate {
  switch (node.type) {
    case 'StringLiteral':
    case 'IntegerLiteral': {
      const value = node.value as string | number;
      return () => value;
    }
    case 'FloatLiteral': {
      const value = float(node.value as number);
      return () => value;
    }
    case 'ArrayLiteral': {
      const items = (node.value as Node[]).map(compileExpression);
      return (scope, state) => items.map((item) => item(scope, state));
    }
    case 'TupleLiteral': {
      const items = (node.value as Node[]).map(compileExpression);
      return (scope, state) => Tuple.from(items.map((item) => item(scope, state)));
    }
    case 'ObjectLiteral':
      return dict(node.value as Map<Node, Node>);
    case 'Identifier': {
      const name = node.value as string;
      if (name !== 'add_generation_prompt') return (scope) => scope.get(name);
      return (scope, state) => {
        state.recorder?.readGenerationPrompt();
        return scope.get(name);
      };
    }
    case 'MemberExpression':
      return member(node);
    case 'BinaryExpression':
      return binary(node, compileExpression);
    case 'UnaryExpression':
      return unary(node);
    case 'Ternary':
      return choice(node.condition as Node, node.trueExpr as Node, node.falseExpr as Node);
    case 'SelectExpression':
      return choice(node.test as Node, node.lhs as Node, null);
    case 'TestExpression':
      return test(node);
    case 'FilterExpression':
      return filter(compileExpression(node.operand as Node), node.filter as Node);
    case 'CallExpression':
      return call(node);
    default: {
      const message = `the expression ${node.type} is not supported`;
      return () => {
        throw new Error(message);
      };
    }
  }
}

function dict(entries: Map<Node, Node>): Evaluate {
  const compiled = [...entries].map(
    ([key, value]) => [compileExpression(key), compileExpression(value)] as const,
  );
  return (scope, state) => {
    const entries: Record<string, Value> = Object.create(null);
    for (const [key, value] of compiled) {
      const name = charged(key(scope, state), state.budget);
      if (typeof name !== 'string') throw new Error(`a key of a dict is a ${typeName(name)}, not a str`);
      entries[name] = value(scope, state);
    }
    return entries;
  };
}

function choice(condition: Node, whenTrue: Node, whenFalse: Node | null): Evaluate {
  const test = compileExpression(condition);
  const yes = compileExpression(whenTrue);
  const no: Evaluate = whenFalse ? compileExpression(whenFalse) : () => undefined;
  return (scope, state) => (isTrue(test(scope, state), state.budget) ? yes : no)(scope, state);
}

function unary(node: Node): Evaluate {
  const operator = (node.operator as Node).value as string;
  const argument = compileExpression(node.argument as Node);
  if (operator === 'not') return (scope, state) => !isTrue(argument(scope, state), state.budget);
  const sign = operator === '-' ? -1 : 1;
  return (scope, state) => {
    const value = argument(scope, state);
    const number = numberOf(value);
    if (number === null) throw new Error(`bad operand type for unary ${operator}: '${typeName(value)}'`);
    return typeof value === 'object' ? float(sign * number) : sign * number;
  };
}

function test(node: Node): Evaluate {
  const operand = compileExpression(node.operand as Node);
  const name = (node.test as Node).value as string;
  const negate = node.negate as boolean;
  return (scope, state) => {
    const value = chargedText(operand(scope, state), state.budget);
    return testOf(name)(value, undefined, state.budget) !== negate;
  };
}

/** The function that applies a filter to a value. `node`: an Identifier or a CallExpression. */
export function filter(operand: Evaluate, node: Node): Evaluate {
  const isCall = node.type === 'CallExpression';
  const name = (isCall ? (node.callee as Node) : node).value as string;
  const given = argumentsOf(isCall ? (node.args as Node[]) : []);
  return (scope, state) => {
    const value = operand(scope, state);
    const { args, named } = given(scope, state);
    return applyFilter(name, value, args, named, state.budget);
  };
}

type Arguments = (scope: Scope, state: State) => { args: Value[]; named: Dict };

const NONE: { args: Value[]; named: Dict } = { args: [], named: {} };

export function argumentsOf(nodes: readonly Node[]): Arguments {
  const parts = nodes.map((node) => {
    const isNamed = node.type === 'KeywordArgumentExpression';
    const isSpread = node.type === 'SpreadExpression' || node.type === 'KeywordSpreadExpression';
    const inner = isNamed ? node.value : isSpread ? node.argument : node;
    const key = isNamed ? ((node.key as Node).value as string) : null;
    return { type: node.type, key, value: compileExpression(inner as Node) };
  });
  if (parts.length === 0) return () => NONE;
  return (scope, state) => {
    const args: Value[] = [];
    const named: Record<string, Value> = Object.create(null);
    for (const { type, key, value } of parts) {
      const evaluated = charged(value(scope, state), state.budget);
      if (key !== null) named[key] = evaluated;
      else if (type === 'SpreadExpression')
        for (const each of iterate(evaluated, state.budget)) args.push(each);
      else if (type !== 'KeywordSpreadExpression') args.push(evaluated);
      else if (isDict(evaluated))
        for (const name of keysOf(evaluated, state.budget)) named[name] = evaluated[name];
      else throw new Error(`argument after ** is a ${typeName(evaluated)}`);
    }
    return { args, named };
  };
}

function call(node: Node): Evaluate {
  const callee = compileExpression(node.callee as Node);
  const given = argumentsOf(node.args as Node[]);
  return (scope, state) => {
    state.budget.spend();
    const called = callee(scope, state);
    if (typeof called !== 'function') throw new Error(`'${typeName(called)}' object is not callable`);
    const { args, named } = given(scope, state);
    return made(called(args, named, state.budget), state.budget);
  };
}

function member(node: Node): Evaluate {
  const object = compileExpression(node.object as Node);
  const property = node.property as Node;
  if (node.computed) {
    if (property.type === 'SliceExpression') return slice(object, property);
    const key = compileExpression(property);
    return (scope, state) =>
      itemOf(chargedText(object(scope, state), state.budget), key(scope, state), state.budget);
  }
  const name = property.value as string | number;
  if (typeof name === 'number') return (scope, state) => itemOf(object(scope, state), name, state.budget);
  return (scope, state) => attributeOf(chargedText(object(scope, state), state.budget), name);
}

/** `of.name`: a method before an item. */
function attributeOf(of: Value, name: string): Value {
  if (of === undefined) throw new Error(`an undefined value has no attribute '${name}'`);
  if (of instanceof Namespace) return of.values.get(name);
  if (of instanceof Loop) return of.attribute(name);
  const method = methodOf(of, name);
  if (method) return method;
  return isDict(of) && Object.hasOwn(of, name) ? of[name] : undefined;
}

/** `of[key]`: an item before a method. */
function itemOf(of: Value, key: Value, budget: TemplateBudget): Value {
  if (of === undefined) throw new Error('an undefined value has no items');
  if (typeof key === 'string') {
    if (isDict(of) && Object.hasOwn(of, key)) return of[key];
    return attributeOf(of, key);
  }
  const index = numberOf(key);
  if (index === null || typeof key === 'object') return undefined;
  if (typeof of === 'string') return characters(of, budget).at(index);
  if (!Array.isArray(of)) return undefined;
  // `at` reads the length of the list, which prefixes of a conversation do not have.
  return index >= 0 ? of[Math.trunc(index)] : of.at(index);
}

function slice(object: Evaluate, { start, stop, step }: Node): Evaluate {
  const [from, to, by] = [start, stop, step].map((part) => (part ? compileExpression(part as Node) : null));
  return (scope, state) => {
    const of = chargedText(object(scope, state), state.budget);
    if (typeof of !== 'string' && !Array.isArray(of))
      throw new Error(`'${typeName(of)}' object has no slices`);
    const [first, end, stride] = [from, to, by].map((part) => {
      const value = part ? part(scope, state) : null;
      if (value !== null && numberOf(value) === null) throw new Error('slice indices must be integers');
      return value === null ? null : numberOf(value);
    });
    const skipped = first ?? 0;
    const isTail = !to && !by && Number.isInteger(skipped) && skipped >= 0;
    const tail = isTail && Array.isArray(of) ? state.recorder?.tailOf(of, skipped, state.budget) : null;
    if (tail) return tail;
    const all = typeof of === 'string' ? characters(of, state.budget) : of;
    const found = sliced(all, first ?? null, end ?? null, stride ?? 1);
    return made(typeof of === 'string' ? found.join('') : found, state.budget);
  };
}

/** Python's slices. */
function sliced(
  of: string | readonly Value[],
  start: number | null,
  stop: number | null,
  step: number,
): Value[] {
  if (step === 0) throw new Error('slice step cannot be zero');
  const { length } = of;
  const clamp = (at: number, low: number, high: number) =>
    Math.min(high, Math.max(low, at < 0 ? at + length : at));
  const found: Value[] = [];
  if (step > 0) {
    const to = stop === null ? length : clamp(stop, 0, length);
    for (let i = start === null ? 0 : clamp(start, 0, length); i < to; i += step) found.push(of[i]);
  } else {
    const to = stop === null ? -1 : clamp(stop, -1, length - 1);
    for (let i = start === null ? length - 1 : clamp(start, -1, length - 1); i > to; i += step)
      found.push(of[i]);
  }
  return found;
}
