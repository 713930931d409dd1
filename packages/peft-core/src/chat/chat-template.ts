import { GraftError } from '../errors.ts';
import type { TemplateKwargs } from '../schema/template-kwargs.ts';
import { JinjaTemplate, type MarkedText } from './jinja/jinja-template.ts';
import type { Message, Tool } from './message.ts';
import { PlainTemplate } from './plain-template.ts';
import { commonPrefix, type RenderedTurns, type TextRange, type TurnPlace } from './rendered-turns.ts';
import { strftime } from './strftime.ts';
import { TemplateBudget, TooCostly } from './template-budget.ts';
import { type TemplateInput, type TemplateMessage, templateMessage, templateTool } from './template-input.ts';

export interface ChatTemplateOptions {
  /** Appends the header of an assistant turn, which the model continues. */
  addGenerationPrompt?: boolean;
  /** Date shown by `strftime_now`; default now. */
  now?: Date;
  /** Additional variables of the template, already validated with `templateKwargsFault`. */
  kwargs?: TemplateKwargs;
  /** Functions that the model may call. Absent: None in the template. */
  tools?: readonly Tool[];
}

export interface TurnsOptions extends Omit<ChatTemplateOptions, 'addGenerationPrompt'> {
  /** `check` throws when the time limit is exceeded. */
  deadline?: { check(): void } | null;
}

/**
 * Maximum product of turns to train on and messages in a conversation whose prefixes must each be rendered separately: the cost grows with
 * both. 256 messages, half of them trained on, are a quarter of it.
 */
const MAX_APART = 1 << 17;

/**
 * A chat template as transformers runs it: Jinja with trim_blocks and lstrip_blocks, the special tokens by name
 * (`bos_token`, …), `raise_exception` and `strftime_now`. Templates come from models, not from users.
 */
export class ChatTemplate {
  readonly #jinja: JinjaTemplate;
  readonly #variables: Readonly<Record<string, string | boolean | null>>;
  readonly #plain: PlainTemplate;
  readonly #hasMarks: boolean;
  readonly #hasDeveloper: boolean;
  /** Request field that chose the template. */
  readonly #param: string;
  #takesParts: boolean | null = null;
  #steps = 0;

  /** Throws `invalid_chat_template` for Jinja that cannot be parsed. */
  constructor(source: string, specialTokens: Record<string, string>, param = 'model') {
    this.#param = param;
    this.#variables = { ...CONSTANTS, ...specialTokens, tools: null, documents: null };
    this.#hasDeveloper = source.includes('developer');
    try {
      this.#jinja = new JinjaTemplate(source);
      this.#plain = new PlainTemplate(this.#jinja.body, this.#variables);
      this.#hasMarks = this.#jinja.marksGenerated;
    } catch (cause) {
      const message = `the chat template does not parse: ${reason(cause)}`;
      throw new GraftError('invalid_chat_template', message, { param, cause });
    }
  }

  /**
   * Throws `chat_template_error` with the template's own message if it rejects the conversation, `invalid_chat_template` if it exceeds the
   * budget of steps.
   */
  render(messages: readonly Message[], options: ChatTemplateOptions = {}): string {
    return this.#render(this.#input(messages, options), new TemplateBudget(messages, options.tools));
  }

  /** Steps of all renderings so far, those that failed included. */
  get steps(): number {
    return this.#steps;
  }

  /**
   * The conversation's text, and where the turns of the messages numbered `turns` (ascending) are in it. Throws
   * `unsupported_chat_template` if the text does not start with a turn's prompt, and the errors of `render`.
   */
  renderTurns(
    messages: readonly Message[],
    turns: readonly number[],
    { deadline = null, ...options }: TurnsOptions = {},
  ): RenderedTurns {
    const input = this.#input(messages, options);
    const budget = new TemplateBudget(messages, options.tools);
    if (this.#hasMarks) {
      const interpret = () => this.#interpret(input, budget);
      return markedTurns(
        this.#charged(budget, () => this.#plain.renderMarked(input, budget) ?? interpret()),
        turns,
      );
    }
    const together = this.#charged(budget, () => this.#plain.renderTurns(input, turns, budget));
    if (together) return together;
    // One for the whole, and three for each turn.
    const renderings = 1 + 3 * turns.length;
    const shared = new TemplateBudget(messages, options.tools, renderings);
    return this.#renderApart(input, turns, deadline, shared);
  }

  /** Renders, and counts the steps that it takes. Throws `invalid_chat_template` for a template that exceeds its budget. */
  #charged<T>(budget: TemplateBudget, render: () => T): T {
    const before = budget.spent;
    try {
      return render();
    } catch (cause) {
      if (!(cause instanceof TooCostly)) throw cause;
      const message = `the chat template ${cause.message}; use a simpler one, or shorter conversations`;
      throw new GraftError('invalid_chat_template', message, { param: this.#param, cause });
    } finally {
      this.#steps += budget.spent - before;
    }
  }

  #render(input: TemplateInput, budget: TemplateBudget): string {
    return this.#charged(
      budget,
      () => this.#plain.render(input, budget) ?? this.#interpret(input, budget).text,
    );
  }

  /** The messages as the template receives them. */
  shown(messages: readonly Message[]): readonly TemplateMessage[] {
    this.#takesParts ??= this.#probeParts();
    const options = { hasDeveloper: this.#hasDeveloper, takesParts: this.#takesParts };
    return messages.map((message) => templateMessage(message, options));
  }

  /**
   * The text that the template writes around turns, from the end of the first turn's content on: the text before may describe tokens that
   * the model generates, as templates of reasoning models do with `<think>`. Skips roles and orders that the template rejects.
   */
  around(): string {
    const orders = [
      ['user', 'assistant', 'user'],
      ['user', 'assistant', 'system', 'user'],
    ];
    return orders.map((roles) => this.#aroundTurns(roles)).join('');
  }

  #aroundTurns(roles: readonly string[]): string {
    try {
      const text = this.render(roles.map((role) => ({ role, content: CONTENT })));
      return text.slice(text.indexOf(CONTENT) + 1);
    } catch {
      return '';
    }
  }

  #input(messages: readonly Message[], options: ChatTemplateOptions): TemplateInput {
    const { addGenerationPrompt = false, now = new Date(), kwargs = {}, tools } = options;
    return {
      messages: this.shown(messages),
      addGenerationPrompt,
      strftime: (format: string) => strftime(now, format),
      variables: tools === undefined ? kwargs : { ...kwargs, tools: tools.map(templateTool) },
    };
  }

  /** Whether the template loses content that is a text, and writes content that is a list of parts. */
  #probeParts(): boolean {
    const writes = (content: unknown) => {
      const input: TemplateInput = {
        messages: [{ role: 'user', content }],
        addGenerationPrompt: false,
        strftime: () => '',
        variables: {},
      };
      try {
        return this.#render(input, new TemplateBudget([])).includes(CONTENT);
      } catch {
        return false;
      }
    };
    return !writes(CONTENT) && writes([{ type: 'text', text: CONTENT }]);
  }

  #renderApart(
    input: TemplateInput,
    turns: readonly number[],
    deadline: TurnsOptions['deadline'],
    budget: TemplateBudget,
  ): RenderedTurns {
    const { messages } = input;
    if (turns.length * messages.length > MAX_APART) {
      const most = Math.floor(MAX_APART / messages.length);
      const message =
        `the conversation has ${messages.length} messages, ${turns.length} of them to train on; ` +
        `with this model's chat template, which looks ahead, at most ${most} messages of a conversation this long can be trained on`;
      throw new GraftError('chat_template_error', message, { param: 'messages' });
    }
    const render = (some: readonly TemplateMessage[], addGenerationPrompt = false) =>
      this.#render({ ...input, messages: some, addGenerationPrompt }, budget);
    const text = render(messages);
    const places = turns.map((turn): TurnPlace => {
      deadline?.check();
      const before = messages.slice(0, turn);
      const isLast = turn + 1 === messages.length;
      let from: number;
      let isLocated = true;
      try {
        const prompt = render(before, true);
        from = commonPrefix(prompt, text);
        // A prompt may open the turn in another way than the whole text, but only after the messages before.
        isLocated = from === prompt.length || from >= commonPrefix(prompt, turn === 0 ? '' : render(before));
      } catch (error) {
        if (!(error instanceof GraftError) || error.code !== 'chat_template_error') throw error;
        // The template refuses to open a turn here, such as the first of a conversation; another answer differs where the turn starts.
        from = commonPrefix(render([...before, { role: 'assistant', content: CONTENT }]), text);
      }
      if (!isLocated && isLast) throw this.#rewritten(turn);
      const own = isLast ? text : render(messages.slice(0, turn + 1));
      const through = Math.max(from, commonPrefix(own, text));
      const isPrefix = own.trimEnd().length <= through;
      return { prompt: from, through, generated: null, isRewritten: !isLocated, isPrefix };
    });
    return { text, turns: places };
  }

  /** The error for a turn that cannot be located: of the template if that is so in a plain conversation, else of these messages. */
  #rewritten(turn: number): GraftError {
    const user = { role: 'user', content: 'Hello' };
    const input = this.#input([user], {});
    const budget = new TemplateBudget([user], [], 2);
    const prompt = this.#render({ ...input, addGenerationPrompt: true }, budget);
    const messages = [...input.messages, { role: 'assistant', content: CONTENT }];
    const isUsable = this.#render({ ...input, messages }, budget).startsWith(prompt);
    const what = 'writes the messages before an assistant turn differently once the turn follows';
    return isUsable
      ? new GraftError(
          'chat_template_error',
          `the model's chat template ${what}, here before messages[${turn}]`,
          {
            param: 'messages',
          },
        )
      : new GraftError(
          'unsupported_chat_template',
          `the model's chat template ${what}, so assistant turns cannot be located; use a model with another chat template`,
          { param: this.#param },
        );
  }

  /** Runs any Jinja, slower than the plain subset. */
  #interpret(
    { messages, addGenerationPrompt, strftime, variables }: TemplateInput,
    budget: TemplateBudget,
  ): MarkedText {
    const all = {
      ...this.#variables,
      ...variables,
      strftime_now: ([format]: readonly unknown[]) => strftime(typeof format === 'string' ? format : ''),
      messages,
      add_generation_prompt: addGenerationPrompt,
    };
    try {
      return this.#jinja.render(all, budget);
    } catch (cause) {
      if (cause instanceof TooCostly) throw cause;
      const message = `the chat template refuses these messages: ${reason(cause)}`;
      throw new GraftError('chat_template_error', message, { param: 'messages', cause });
    }
  }
}

/** The turns of a template that marks what the model generates. */
function markedTurns({ text, generated }: MarkedText, turns: readonly number[]): RenderedTurns {
  const rangesByMessage = new Map<number, TextRange[]>();
  let latest = -1;
  for (const { from, to, message } of generated) {
    // What is written after all messages, such as an end of the text, belongs to the last turn.
    latest = message ?? latest;
    rangesByMessage.set(latest, [...(rangesByMessage.get(latest) ?? []), { from, to }]);
  }
  const places = turns.map((turn): TurnPlace => {
    const ranges = rangesByMessage.get(turn) ?? [];
    const through = ranges.at(-1)?.to ?? 0;
    return { prompt: ranges[0]?.from ?? 0, through, generated: ranges, isRewritten: false, isPrefix: true };
  });
  return { text, turns: places };
}

/** Placeholder for a message's content: a noncharacter, which no template contains. */
const CONTENT = '\uFDD3';

/** Jinja's constants; templates also use the capitalised ones. */
const CONSTANTS = { true: true, false: false, none: null, True: true, False: false, None: null };

function reason(cause: unknown): string {
  // The engine's stack has an end; texts and lists are limited before they reach the engine's limits.
  if (cause instanceof RangeError) return 'its expressions, blocks or calls of macros nest too deep';
  return cause instanceof Error ? cause.message : String(cause);
}
