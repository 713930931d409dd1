import { argumentsOf, compileExpression, filter } from './expressions.ts';
import { type Evaluate, type Execute, type Node, Scope, type State, stepsOf } from './state.ts';
import {
  type Callable,
  type Dict,
  isTrue,
  iterate,
  Loop,
  Namespace,
  Tuple,
  text,
  typeName,
  type Value,
} from './values.ts';

/** Name of the call statement that stands for `{% generation %}`, which the parser does not know. */
export const GENERATION = '__generation__';

const BREAK = new Error('break outside a loop');
const CONTINUE = new Error('continue outside a loop');

/** Maximum nesting depth of calls of macros. */
const MAX_CALLS = 100;

/** `isTop`: the statements are the whole template. */
export function compileBlock(nodes: readonly Node[], isTop = false): Execute {
  const statements = nodes
    .filter(({ type }) => type !== 'Comment')
    .map((node, i) => {
      const rest: Execute = (scope, state) => run(i + 1, scope, state);
      const execute = isTop && node.type === 'For' ? compileFor(node, rest) : compileStatement(node);
      return { steps: stepsOf(node), execute };
    });
  const run = (from: number, scope: Scope, state: State) => {
    for (let i = from; i < statements.length; i++) {
      const { steps, execute } = statements[i]!;
      state.budget.spend(0, steps);
      execute(scope, state);
    }
  };
  return (scope, state) => run(0, scope, state);
}

function compileStatement(node: Node): Execute {
  switch (node.type) {
    case 'If': {
      const test = compileExpression(node.test as Node);
      const yes = compileBlock(node.body as Node[]);
      const no = compileBlock(node.alternate as Node[]);
      return (scope, state) => (isTrue(test(scope, state), state.budget) ? yes : no)(scope, state);
    }
    case 'For':
      return compileFor(node, null);
    case 'Set':
      return compileSet(node);
    case 'Macro': {
      const name = (node.name as Node).value as string;
      const make = macro(name, node.args as Node[], node.body as Node[]);
      return (scope, state) => scope.set(name, make(scope, state));
    }
    case 'CallStatement':
      return compileCall(node);
    case 'FilterStatement': {
      const body = compileBlock(node.body as Node[]);
      const filtered = filter(captured(body), node.filter as Node);
      return (scope, state) => state.write(text(filtered(scope, state), state.budget));
    }
    case 'Break':
      return () => {
        throw BREAK;
      };
    case 'Continue':
      return () => {
        throw CONTINUE;
      };
    default: {
      const value = compileExpression(node);
      return (scope, state) => state.write(text(value(scope, state), state.budget));
    }
  }
}

/** Captures the text that a block writes, in a separate scope. */
function captured(body: Execute): Evaluate {
  return (scope, state) => state.capture(() => body(new Scope(scope), state));
}

type Assign = (scope: Scope, value: Value, state: State) => void;

function assignment(target: Node): Assign {
  if (target.type === 'Identifier') {
    const name = target.value as string;
    return (scope, value) => scope.set(name, value);
  }
  if (target.type === 'TupleLiteral') {
    const targets = (target.value as Node[]).map(assignment);
    return (scope, value, state) => {
      const items = iterate(value, state.budget);
      if (items.length !== targets.length)
        throw new Error(`expected ${targets.length} values to unpack, got ${items.length}`);
      for (const [i, assign] of targets.entries()) assign(scope, items[i], state);
    };
  }
  if (target.type !== 'MemberExpression' || (target.property as Node).type !== 'Identifier')
    throw new Error('a template can assign to names and to attributes of namespaces');
  const object = compileExpression(target.object as Node);
  const name = (target.property as Node).value as string;
  return (scope, value, state) => {
    const namespace = object(scope, state);
    if (!(namespace instanceof Namespace)) throw new Error('cannot assign attribute on non-namespace object');
    state.recorder?.write();
    namespace.values.set(name, value);
  };
}

function compileSet(node: Node): Execute {
  let target = node.assignee as Node;
  let value: Evaluate;
  if (node.value) value = compileExpression(node.value as Node);
  else {
    value = captured(compileBlock(node.body as Node[]));
    // {% set name | filter %}
    const filters: Node[] = [];
    for (; target.type === 'FilterExpression'; target = target.operand as Node)
      filters.unshift(target.filter as Node);
    for (const each of filters) value = filter(value, each);
  }
  const assign = assignment(target);
  return (scope, state) => assign(scope, value(scope, state), state);
}

/** `rest`: the statements after a loop of the template's top level, which may be the one that renders the messages. */
function compileFor(node: Node, rest: Execute | null): Execute {
  const loopvar = node.loopvar as Node;
  const assign = assignment(loopvar);
  const select = node.iterable as Node;
  const isSelect = select.type === 'SelectExpression';
  const items = compileExpression(isSelect ? (select.lhs as Node) : select);
  const test = isSelect ? compileExpression(select.test as Node) : null;
  const testSteps = isSelect ? stepsOf(select.test) : 0;
  const body = compileBlock(node.body as Node[]);
  const otherwise = compileBlock(node.defaultBlock as Node[]);
  const afterMessages = isSelect || (node.defaultBlock as Node[]).length > 0 ? null : rest;
  return (outer, state) => {
    const { recorder } = state;
    const value = items(outer, state);
    const start = (afterMessages && recorder?.mainLoop(value)) ?? null;
    const listed = iterate(value, state.budget);
    const all = start === null ? listed : recorder!.messagesFrom(start);
    state.budget.spend(0, all.length);
    const list = test
      ? all.filter((item) => {
          const scope = new Scope(outer);
          state.budget.spend(0, testSteps);
          assign(scope, item, state);
          return isTrue(test(scope, state), state.budget);
        })
      : all;
    const ending = (addGenerationPrompt: boolean) => state.ending(afterMessages!, outer, addGenerationPrompt);
    const loop = new Loop(start === null ? list : listed, outer.depth + 1);
    const before = state.message;
    let isBroken = false;
    for (let i = 0; i < list.length && !isBroken; i++) {
      if (start !== null) recorder!.arrive(start + i, ending);
      loop.index0 = i;
      // Variables set in one iteration are unknown in the next.
      const scope = new Scope(outer, loop.depth);
      scope.set('loop', loop);
      assign(scope, list[i], state);
      state.message = state.messageAt(list[i]);
      try {
        body(scope, state);
      } catch (control) {
        if (control !== BREAK && control !== CONTINUE) throw control;
        isBroken = control === BREAK;
      }
      state.message = before;
    }
    if (start !== null && !isBroken) recorder!.arrive(start + list.length, ending);
    if (list.length === 0) otherwise(new Scope(outer), state);
  };
}

function macro(
  name: string,
  parameters: readonly Node[],
  body: readonly Node[],
): (scope: Scope, state: State) => Callable {
  const known = parameters.map((parameter) => {
    const isPlain = parameter.type === 'Identifier';
    const own = (isPlain ? parameter : (parameter.key as Node)).value as string;
    return { name: own, otherwise: isPlain ? null : compileExpression(parameter.value as Node) };
  });
  const run = compileBlock(body);
  const steps = stepsOf(parameters);
  const { hasVarargs, hasKwargs } = namesIn(body);
  return (outer, state) => (args, named) => {
    state.budget.spend(0, steps);
    const scope = new Scope(outer, 0);
    if (state.calls >= MAX_CALLS) throw new Error(`calls of macros nest more than ${MAX_CALLS} deep`);
    const left = new Map(Object.entries(named));
    const missing: (() => void)[] = [];
    for (const [i, { name, otherwise }] of known.entries()) {
      const isGiven = i < args.length || left.has(name);
      scope.set(name, i < args.length ? args[i] : left.get(name));
      left.delete(name);
      if (!isGiven && otherwise) missing.push(() => scope.set(name, otherwise(scope, state)));
    }
    if (left.has('caller')) scope.set('caller', left.get('caller'));
    left.delete('caller');
    if (hasVarargs) scope.set('varargs', Tuple.from(args.slice(known.length)));
    else if (args.length > known.length)
      throw new Error(`macro '${name}' takes not more than ${known.length} argument(s)`);
    if (hasKwargs) scope.set('kwargs', Object.fromEntries(left) as Dict);
    else if (left.size > 0)
      throw new Error(`macro '${name}' takes no keyword argument '${[...left.keys()][0]}'`);
    for (const fill of missing) fill();
    state.calls++;
    const written = state.capture(() => run(scope, state));
    state.calls--;
    return written;
  };
}

interface ReservedNames {
  hasVarargs: boolean;
  hasKwargs: boolean;
  hasGeneration: boolean;
}

/** Names by part of a template; remembered, since macros may be in one another. */
const known = new WeakMap<object, ReservedNames>();

/** The names with a special meaning that a part of a template mentions. */
export function namesIn(part: unknown): ReservedNames {
  if (typeof part !== 'object' || part === null)
    return {
      hasVarargs: part === 'varargs',
      hasKwargs: part === 'kwargs',
      hasGeneration: part === GENERATION,
    };
  const before = known.get(part);
  if (before) return before;
  const names = { hasVarargs: false, hasKwargs: false, hasGeneration: false };
  for (const field of part instanceof Map ? part : Object.values(part)) {
    const { hasVarargs, hasKwargs, hasGeneration } = namesIn(field);
    names.hasVarargs ||= hasVarargs;
    names.hasKwargs ||= hasKwargs;
    names.hasGeneration ||= hasGeneration;
  }
  known.set(part, names);
  return names;
}

function compileCall(node: Node): Execute {
  const { callee, args } = node.call as Node;
  const calleeNode = callee as Node;
  if (calleeNode.value === GENERATION) {
    const body = compileBlock(node.body as Node[]);
    return (scope, state) => state.generate(() => body(new Scope(scope), state));
  }
  const called = compileExpression(calleeNode);
  const given = argumentsOf(args as Node[]);
  const caller = macro('caller', (node.callerArgs as Node[] | null) ?? [], node.body as Node[]);
  return (scope, state) => {
    const callable = called(scope, state);
    if (typeof callable !== 'function') throw new Error(`'${typeName(callable)}' object is not callable`);
    const { args, named } = given(scope, state);
    const all: Record<string, Value> = Object.assign(Object.create(null), named);
    all.caller = caller(scope, state);
    state.write(text(callable(args, all, state.budget), state.budget));
  };
}
