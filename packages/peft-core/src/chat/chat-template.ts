import { GraftError } from '../errors.ts';
import type { TemplateKwargs } from '../schema/template-kwargs.ts';
import { JinjaTemplate, type MarkedText } from './jinja/jinja-template.ts';
import type { Message, Tool } from './message.ts';
import {
  commonPrefix,
  type MarkedTurns,
  type RenderedTurns,
  renderTogether,
  type TemplateVariables,
  type TextRange,
  type TurnPlace,
} from './rendered-turns.ts';
import { strftime } from './strftime.ts';
import { TemplateBudget, TooCostly } from './template-budget.ts';
import { type TemplateInput, type TemplateMessage, templateMessage, templateTool } from './template-input.ts';
import { unshownTools } from './template-tools.ts';
import { endingReasoning, splitReasoning, withoutEmptyReasoning } from './tool-styles/thinking.ts';

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

/** A conversation that ends with an answer, after the prompt that asks for it. */
export interface RenderedAnswer {
  text: string;
  /** Length of the prompt, in UTF-16 units. */
  prompt: number;
}

/**
 * Maximum product of turns to train on and messages in a conversation whose prefixes must each be rendered separately: the cost grows with
 * both. 256 messages, half of them trained on, are a quarter of it.
 */
const MAX_APART = 1 << 17;

/** Variables by which templates in use turn reasoning on and off. */
const THINKING = ['enable_thinking', 'thinking'] as const;

/**
 * A chat template as transformers runs it: Jinja with trim_blocks and lstrip_blocks, the special tokens by name
 * (`bos_token`, …), `raise_exception` and `strftime_now`. Templates come from models, not from users.
 */
export class ChatTemplate {
  readonly #jinja: JinjaTemplate;
  readonly #source: string;
  readonly #hasDeveloper: boolean;
  /** Request field that chose the template. */
  readonly #param: string;
  #takesParts: boolean | null = null;
  #steps = 0;

  /** Throws `invalid_chat_template` for Jinja that cannot be parsed. */
  constructor(source: string, specialTokens: Record<string, string>, param = 'model') {
    this.#param = param;
    this.#source = source;
    this.#hasDeveloper = source.includes('developer');
    try {
      this.#jinja = new JinjaTemplate(source, { ...specialTokens, tools: null, documents: null });
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
   * The conversation's text, and where the turns of the messages numbered `turns` (ascending) are in it. Null if the text does not begin
   * with the prompt that asks for one of them: see `renderAnswer`. Throws the errors of `render`.
   */
  renderTurns(
    messages: readonly Message[],
    turns: readonly number[],
    { deadline = null, ...options }: TurnsOptions = {},
  ): RenderedTurns | null {
    const input = this.#input(messages, options);
    // One for all together; apart, one for the whole, and three for each turn.
    const budget = new TemplateBudget(messages, options.tools, 2 + 3 * turns.length);
    const together = this.#charged(budget, () =>
      renderTogether(this.#jinja, variablesOf(input), turns, budget),
    );
    const located = together ? together.rendered : this.#renderApart(input, turns, deadline, budget);
    return located && this.#jinja.marksGenerated ? markedTurns(located, turns) : located;
  }

  /**
   * A conversation that ends with an assistant message, as the prompt that asks for this message and the answer after it, where the
   * template writes another text once the message is there: it leaves out reasoning, or opens it in the prompt alone. Throws
   * `chat_template_error` if no answer after the prompt has the message, `unsupported_chat_template`, and the errors of `render`.
   */
  renderAnswer(messages: readonly Message[], options: Omit<TurnsOptions, 'deadline'> = {}): RenderedAnswer {
    const answer = this.#answerAfterPrompt(messages, options);
    if (typeof answer !== 'string') return answer;
    const isClosed = answer === 'closed';
    const helping = THINKING.filter((name) => this.#source.includes(name)).find((name) => {
      const kwargs = { ...options.kwargs, [name]: isClosed };
      return typeof this.#answerAfterPrompt(messages, { ...options, kwargs }) !== 'string';
    });
    const option = helping && `train with chat_template_kwargs ${JSON.stringify({ [helping]: isClosed })}`;
    const where = `messages[${messages.length - 1}]`;
    const message = isClosed
      ? `${where} has reasoning, but the chat template's prompt closes the reasoning before an answer; ${option ?? 'train with a chat_template whose prompt opens it'}, or leave the reasoning out`
      : `${where} has no reasoning, but the chat template's prompt opens the reasoning of every answer; ${option ?? 'train with a chat_template whose prompt does not open it'}, or give the message "reasoning_content"`;
    throw new GraftError('chat_template_error', message, { param: 'messages' });
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
    return this.#renderMarked(input, budget).text;
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

  /** Returns true if the template loses content that is a text, and writes content that is a list of parts. */
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
  ): MarkedTurns | null {
    const { messages } = input;
    checkApart(messages.length, turns.length);
    const render = (some: readonly TemplateMessage[], addGenerationPrompt = false) =>
      this.#render({ ...input, messages: some, addGenerationPrompt }, budget);
    const { text, generated } = this.#renderMarked(input, budget);
    const places: TurnPlace[] = [];
    for (const turn of turns) {
      deadline?.check();
      const before = messages.slice(0, turn);
      let prompt: number;
      let served: number | null = null;
      try {
        const asked = render(before, true);
        prompt = commonPrefix(asked, text);
        if (turn > 0 && prompt < asked.length) return null;
        if (turn > 0) served = prompt;
      } catch (error) {
        if (!(error instanceof MessagesRefused)) throw error;
        // The template refuses to open a turn here, such as the first of a conversation; another answer differs where the turn starts.
        const other = [...before, { role: 'assistant', content: CONTENT }];
        try {
          prompt = commonPrefix(render(other), text);
        } catch (cause) {
          if (cause instanceof MessagesRefused) return null;
          throw cause;
        }
      }
      const isWhole = turn + 1 === messages.length || this.#jinja.marksGenerated;
      const own = isWhole ? text : render(messages.slice(0, turn + 1));
      const through = Math.max(prompt, commonPrefix(own, text));
      const isPrefix = own.trimEnd().length <= through;
      places.push({ prompt, served, through, generated: null, isPrefix });
    }
    return { text, turns: places, generated };
  }

  /** See `renderAnswer`. `opened`, `closed`: the prompt opens the reasoning of a message without, or closes that of one with reasoning. */
  #answerAfterPrompt(
    messages: readonly Message[],
    options: Omit<TurnsOptions, 'deadline'>,
  ): RenderedAnswer | 'opened' | 'closed' {
    const input = this.#input(messages, options);
    const budget = new TemplateBudget(messages, options.tools, 4);
    const before = input.messages.slice(0, -1);
    const prompt = this.#render({ ...input, messages: before, addGenerationPrompt: true }, budget);
    const whole = this.#render(input, budget);
    const after = (answer: string) => ({ text: prompt + answer, prompt: prompt.length });
    const last = messages.at(-1)!;
    const { reasoning, content } = splitReasoning(last);
    const thought = reasoning.trim();
    const written = whole.startsWith(prompt) ? whole.slice(prompt.length) : null;
    const end = endingReasoning(prompt);
    if (written !== null && !(end?.isOpen && thought !== '' && !written.trimStart().startsWith(thought)))
      return after(written);
    const turn = this.#turnAfter(end ? prompt.slice(0, end.from) : prompt, whole, input, budget);
    if (!end) return after(turn);
    const { open, close } = end.marks;
    // Templates write an empty block before an answer without reasoning, and before content that has its reasoning itself.
    const answer = end.isOpen && thought === '' ? turn : withoutEmptyReasoning(turn, end.marks);
    const start = answer.trimStart();
    const isOpened = start.startsWith(open);
    if (!end.isOpen) return isOpened && thought !== '' ? 'closed' : after(answer);
    const inner = isOpened ? start.slice(open.length).trimStart() : start;
    if (thought === '' ? inner.startsWith(close) : isOpened) return after(inner);
    // Content may have marks without a text between them.
    if (thought === '' && content === (last.content ?? '')) return 'opened';
    const [line, gap] = end.space.includes('\n') ? ['\n', '\n\n'] : ['', ''];
    return after(`${thought}${thought && line}${close}${/^\s/.test(answer) ? '' : gap}${answer}`);
  }

  /** Text that the template writes after the header of the last message's turn. `header`: the prompt through that header. */
  #turnAfter(header: string, whole: string, input: TemplateInput, budget: TemplateBudget): string {
    if (whole.startsWith(header)) return whole.slice(header.length);
    // The messages before differ: the turn's own header is what the prompt adds to them.
    const before = input.messages.slice(0, -1);
    const without = before.length === 0 ? '' : this.#render({ ...input, messages: before }, budget);
    const added = header.slice(commonPrefix(header, without));
    const answered = [...before, { role: 'assistant', content: CONTENT }];
    const latest = commonPrefix(whole, this.#render({ ...input, messages: answered }, budget));
    const shared = commonPrefix(whole, without);
    const at = added === '' ? -1 : whole.lastIndexOf(added, latest - added.length);
    if (at >= shared) return whole.slice(at + added.length);
    // The turn continues the text before without a header, as some templates have it after results of tools.
    if (shared < latest) throw this.#rewritten(before.length);
    return whole.slice(latest);
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
          `the model's chat template ${what}, here before messages[${turn}]; train with another chat_template, or give this message "weight" 0`,
          { param: 'messages' },
        )
      : new GraftError(
          'unsupported_chat_template',
          `the model's chat template ${what}, so assistant turns cannot be located; use a model with another chat template`,
          { param: this.#param },
        );
  }

  #renderMarked(input: TemplateInput, budget: TemplateBudget): MarkedText {
    return this.#charged(budget, () => {
      try {
        return this.#jinja.render(variablesOf(input), budget);
      } catch (cause) {
        if (cause instanceof TooCostly) throw cause;
        throw new MessagesRefused(unshownTools(this.#source, input) ?? reason(cause), cause);
      }
    });
  }
}

function variablesOf({
  messages,
  addGenerationPrompt,
  strftime,
  variables,
}: TemplateInput): TemplateVariables {
  return {
    ...variables,
    strftime_now: ([format]: readonly unknown[]) => strftime(typeof format === 'string' ? format : ''),
    messages,
    add_generation_prompt: addGenerationPrompt,
  };
}

/** The template itself raised an error over these messages. `reason`: what it says. */
export class MessagesRefused extends GraftError {
  readonly reason: string;

  constructor(reason: string, cause: unknown) {
    const message = `the chat template refuses these messages: ${reason}`;
    super('chat_template_error', message, { param: 'messages', cause });
    this.reason = reason;
  }
}

/** Throws `chat_template_error` for a conversation with too many messages to render each of these turns separately. */
export function checkApart(messages: number, turns: number): void {
  if (turns * messages <= MAX_APART) return;
  const most = Math.floor(MAX_APART / messages);
  const message =
    `the conversation has ${messages} messages, ${turns} of them to train on; ` +
    `with this model's chat template, each of them is read again with all messages before it, so at most ${most} messages of a conversation this long can be trained on`;
  throw new GraftError('chat_template_error', message, { param: 'messages' });
}

/** The turns of a template that marks what the model generates. */
function markedTurns(
  { text, generated, turns: places }: MarkedTurns,
  turns: readonly number[],
): RenderedTurns {
  const rangesByMessage = new Map<number, TextRange[]>();
  let latest = -1;
  for (const { from, to, message } of generated) {
    // Text after all messages, such as an end of the text, belongs to the last turn.
    latest = message ?? latest;
    rangesByMessage.set(latest, [...(rangesByMessage.get(latest) ?? []), { from, to }]);
  }
  const marked = places.map(({ served }, n): TurnPlace => {
    const ranges = rangesByMessage.get(turns[n]!) ?? [];
    const through = ranges.at(-1)?.to ?? 0;
    return { prompt: ranges[0]?.from ?? 0, served, through, generated: ranges, isPrefix: true };
  });
  return { text, turns: marked };
}

/** Placeholder for a message's content: a noncharacter, which no template contains. */
const CONTENT = '\uFDD3';

function reason(cause: unknown): string {
  // The engine's stack has an end; texts and lists are limited before they reach the engine's limits.
  if (cause instanceof RangeError) return 'its expressions, blocks or calls of macros nest too deep';
  return cause instanceof Error ? cause.message : String(cause);
}
