import { type GeneratedText, stepsOf } from './jinja/state.ts';
import { GENERATION } from './jinja/statements.ts';
import { text } from './jinja/values.ts';
import { compileExpression, type Evaluate, isTrue, type Node, type Reads } from './plain-expressions.ts';
import {
  LoopState,
  MessageList,
  MessageValue,
  Namespace,
  NOT_PLAIN,
  Scope,
  type Value,
} from './plain-values.ts';
import { commonPrefix, type MarkedTurns, type TurnPlace } from './rendered-turns.ts';
import type { TemplateBudget } from './template-budget.ts';
import type { TemplateInput } from './template-input.ts';

type Execute = (scope: Scope, run: Run) => void;

/**
 * A template compiled to functions: the subset of Jinja that nearly all chat templates use. It records what a rendering reads: if
 * nothing depends on later messages, the prefixes of the conversation are rendered together with the whole.
 */
export class PlainTemplate {
  readonly #statements: readonly Execute[];
  readonly #variables = new Scope(null);

  /** `body`: that of the program parsed by @huggingface/jinja. `variables`: constants and special tokens. */
  constructor(body: readonly unknown[], variables: Readonly<Record<string, string | boolean | null>>) {
    for (const [name, value] of Object.entries(variables)) this.#variables.set(name, value);
    this.#statements = (body as Node[]).map((node) =>
      counted(node, node.type === 'For' ? compileFor(node, true) : compileStatement(node)),
    );
  }

  /** Null: the template or the conversation is outside the plain subset, or the template rejects it; the interpreter must run it. */
  render(input: TemplateInput, budget: TemplateBudget): string | null {
    return this.#run(input, [], budget)?.out ?? null;
  }

  /** Like `render`, with the texts that the template marks as generated. */
  renderMarked(
    input: TemplateInput,
    budget: TemplateBudget,
  ): { text: string; generated: readonly GeneratedText[] } | null {
    const run = this.#run(input, [], budget);
    return run && { text: run.out, generated: run.generated };
  }

  /**
   * `turns`: numbers of messages, ascending. Null as in `render`, and if a prefix must be rendered separately; `rendered` is null if the
   * text does not begin with the prompt of one of them.
   */
  renderTurns(
    input: TemplateInput,
    turns: readonly number[],
    budget: TemplateBudget,
  ): { rendered: MarkedTurns | null } | null {
    const run = this.#run(input, turns, budget);
    if (!run || run.dependsOnLater) return null;
    const text = run.out;
    const places: TurnPlace[] = [];
    for (const turn of turns) {
      const prompt = run.prompts.get(turn);
      if (turn < run.firstMessages || !prompt) return null;
      const asked = commonPrefix(prompt.tail, text.slice(prompt.at, prompt.at + prompt.tail.length));
      if (turn > 0 && asked < prompt.tail.length) return { rendered: null };
      const isLast = turn + 1 === input.messages.length;
      const own = isLast ? { at: text.length, tail: '' } : run.beginnings.get(turn + 1);
      if (!own) return null;
      const common = commonPrefix(own.tail, text.slice(own.at, own.at + own.tail.length));
      places.push({
        prompt: prompt.at + asked,
        served: turn > 0 ? prompt.at + asked : null,
        through: own.at + common,
        generated: null,
        isPrefix: own.tail.trimEnd().length <= common,
      });
    }
    return { rendered: { text, turns: places, generated: run.generated } };
  }

  #run(input: TemplateInput, turns: readonly number[], budget: TemplateBudget): Run | null {
    try {
      const run = new Run(input, turns, this.#statements, this.#variables, budget);
      run.start();
      return run;
    } catch (error) {
      // RangeError: a text or nesting beyond the engine's limits, for which the interpreter has an error message.
      if (error === NOT_PLAIN || error instanceof RangeError) return null;
      throw error;
    }
  }
}

/** The text after the messages of a prefix, and its position. */
interface Ending {
  at: number;
  tail: string;
}

/** State of one rendering. */
class Run implements Reads {
  out = '';
  dependsOnLater = false;
  /** Prefixes with fewer messages may render differently. */
  firstMessages = 0;
  readonly prompts = new Map<number, Ending>();
  readonly beginnings = new Map<number, Ending>();
  readonly generated: GeneratedText[] = [];
  readonly budget: TemplateBudget;
  readonly #input: TemplateInput;
  readonly #turns: ReadonlySet<number>;
  readonly #statements: readonly Execute[];
  readonly #top: Scope;
  #statement = 0;
  /** The message whose loop body is running; −1 before the loop over messages, the number of messages after it. */
  #position = -1;
  #hasOtherLoops = false;
  #inBeginning = false;

  constructor(
    input: TemplateInput,
    turns: readonly number[],
    statements: readonly Execute[],
    variables: Scope,
    budget: TemplateBudget,
  ) {
    this.budget = budget;
    this.#input = input;
    this.#turns = new Set(turns);
    this.#statements = statements;
    this.#top = new Scope(variables);
    for (const [name, value] of Object.entries(input.variables)) this.#top.set(name, plainValue(value));
    this.#top.set('messages', new MessageList(input.messages, 0));
    this.#top.set('add_generation_prompt', input.addGenerationPrompt);
  }

  start(): void {
    for (; this.#statement < this.#statements.length; this.#statement++)
      this.#statements[this.#statement]!(this.#top, this);
  }

  message(index: number): void {
    if (index < 0 || this.#inBeginning) this.dependsOnLater = true;
    else if (this.#position === -1) this.firstMessages = Math.max(this.firstMessages, index + 1);
    else if (index > this.#position) this.dependsOnLater = true;
  }

  ahead(): void {
    if (this.#inBeginning || !this.#isAfterMessages) this.dependsOnLater = true;
  }

  generationPrompt(): void {
    if (!this.#inBeginning && !this.#isAfterMessages) this.dependsOnLater = true;
  }

  strftime(format: string): string {
    return this.#input.strftime(format);
  }

  get #isAfterMessages(): boolean {
    return this.#position === this.#input.messages.length;
  }

  /** Returns true if a loop over messages that starts now is the main one, which renders them; there is only one. */
  isMainLoop(isTopLevel: boolean): boolean {
    if (isTopLevel && this.#position === -1) return true;
    this.ahead();
    this.#hasOtherLoops = true;
    return false;
  }

  /** Called before message `index` of the conversation is rendered, and with the number of messages after the last. */
  arrive(index: number): void {
    this.#position = index;
    if (this.#turns.has(index)) this.prompts.set(index, this.#ending(true));
    if (this.#turns.has(index - 1)) this.beginnings.set(index, this.#ending(false));
  }

  setIn(namespace: Namespace, name: string, value: Value): void {
    // Later messages would see a change made while the end of a prefix is rendered.
    if (this.#inBeginning) throw NOT_PLAIN;
    namespace.values.set(name, value);
  }

  /** Runs the body of `{% generation %}`. */
  generate(body: () => void): void {
    if (this.#position === -1 || this.#hasOtherLoops) throw NOT_PLAIN;
    const from = this.out.length;
    body();
    if (this.#inBeginning) return;
    const message = this.#isAfterMessages ? null : this.#position;
    this.generated.push({ from, to: this.out.length, message });
  }

  #ending(addGenerationPrompt: boolean): Ending {
    const before = this.out;
    const scope = new Scope(this.#top);
    scope.set('add_generation_prompt', addGenerationPrompt);
    this.#inBeginning = true;
    this.out = '';
    for (let i = this.#statement + 1; i < this.#statements.length; i++) this.#statements[i]!(scope, this);
    const tail = this.out;
    this.out = before;
    this.#inBeginning = false;
    return { at: before.length, tail };
  }
}

/** Objects are outside the plain subset. */
function plainValue(value: unknown): Value {
  if (Array.isArray(value)) return value.map(plainValue);
  if (value === null || typeof value !== 'object') return value as string | number | boolean | null;
  throw NOT_PLAIN;
}

function compileStatement(node: Node): Execute {
  switch (node.type) {
    case 'Comment':
      return () => {};
    case 'If': {
      const test = compileExpression(node.test as Node);
      const yes = compileBlock(node.body as Node[]);
      const no = compileBlock(node.alternate as Node[]);
      return (scope, run) => (isTrue(test(scope, run), run) ? yes : no)(scope, run);
    }
    case 'For':
      return compileFor(node, false);
    case 'Set':
      return compileSet(node);
    case 'CallStatement': {
      if (((node.call as Node).callee as Node).value !== GENERATION) return notPlain;
      const body = compileBlock(node.body as Node[]);
      return (scope, run) => run.generate(() => body(new Scope(scope), run));
    }
    case 'Program':
    case 'Macro':
    case 'FilterStatement':
    case 'Break':
    case 'Continue':
      return notPlain;
    default:
      return compileOutput(compileExpression(node));
  }
}

const notPlain: Execute = () => {
  throw NOT_PLAIN;
};

function compileBlock(nodes: readonly Node[]): Execute {
  const statements = nodes.map((node) => counted(node, compileStatement(node)));
  return (scope, run) => {
    for (const statement of statements) statement(scope, run);
  };
}

/** Charges the budget for each execution of a statement. */
function counted(node: Node, execute: Execute): Execute {
  const steps = stepsOf(node);
  return (scope, run) => {
    run.budget.spend(0, steps);
    execute(scope, run);
  };
}

function compileOutput(expression: Evaluate): Execute {
  return (scope, run) => {
    const value = expression(scope, run);
    if (typeof value === 'string') {
      run.budget.spend(value.length);
      run.out += value;
    } else if (typeof value === 'number') run.out += text(value, run.budget);
    else if (value === null) run.out += 'None';
    else if (value !== undefined) throw NOT_PLAIN;
  };
}

/** Charges the budget for an assigned value: texts that are assigned repeatedly can grow. */
function spent(value: Value, run: Run): Value {
  run.budget.spend(typeof value === 'string' ? value.length : 0);
  return value;
}

function compileSet(node: Node): Execute {
  if (!node.value) return notPlain;
  const value = compileExpression(node.value as Node);
  const assignee = node.assignee as Node;
  if (assignee.type === 'Identifier') {
    const name = assignee.value as string;
    return (scope, run) => scope.set(name, spent(value(scope, run), run));
  }
  if (assignee.type !== 'MemberExpression' || (assignee.property as Node).type !== 'Identifier')
    return notPlain;
  const object = compileExpression(assignee.object as Node);
  const name = (assignee.property as Node).value as string;
  return (scope, run) => {
    const assigned = spent(value(scope, run), run);
    const namespace = object(scope, run);
    if (!(namespace instanceof Namespace)) throw NOT_PLAIN;
    run.setIn(namespace, name, assigned);
  };
}

function compileFor(node: Node, isTopLevel: boolean): Execute {
  const loopvar = node.loopvar as Node;
  const defaultBlock = node.defaultBlock as Node[];
  const iterable = node.iterable as Node;
  if (loopvar.type !== 'Identifier' || iterable.type === 'SelectExpression' || defaultBlock.length > 0)
    return notPlain;
  const name = loopvar.value as string;
  const items = compileExpression(iterable);
  const body = compileBlock(node.body as Node[]);
  return (outer, run) => {
    const list = items(outer, run);
    const scope = new Scope(outer);
    if (list instanceof MessageList) {
      const { all, start } = list;
      const isMain = run.isMainLoop(isTopLevel);
      const loop = new LoopState(all.length - start, true);
      for (let i = start; i < all.length; i++) {
        if (isMain) run.arrive(i);
        loop.index0 = i - start;
        beginIteration(scope, loop, name, new MessageValue(all[i]!));
        body(scope, run);
      }
      if (isMain) run.arrive(all.length);
    } else {
      if (!Array.isArray(list)) throw NOT_PLAIN;
      const loop = new LoopState(list.length, false);
      for (const [i, item] of (list as readonly Value[]).entries()) {
        run.budget.spend();
        loop.index0 = i;
        beginIteration(scope, loop, name, item);
        body(scope, run);
      }
    }
  };
}

/** Variables set in one iteration are unknown in the next. */
function beginIteration(scope: Scope, loop: LoopState, name: string, item: Value): void {
  scope.clear();
  scope.set('loop', loop);
  scope.set(name, item);
}
