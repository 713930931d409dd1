import { Environment, parse, tokenize } from '@huggingface/jinja';
import { GraftError } from '../errors.ts';
import type { TemplateKwargs } from '../schema/template-kwargs.ts';
import type { Message } from './message.ts';
import { PlainTemplate, type RenderedTurns } from './plain-template.ts';
import { BoundedInterpreter, boundedRange, TemplateBudget } from './template-budget.ts';

export interface ChatTemplateOptions {
  /** Ends with the header of an assistant turn, which the model continues. */
  addGenerationPrompt?: boolean;
  /** What `strftime_now` shows; now by default. */
  now?: Date;
  /** Other variables of the template, which `templateKwargsFault` has passed. */
  kwargs?: TemplateKwargs;
}

export interface TurnsOptions extends Pick<ChatTemplateOptions, 'now' | 'kwargs'> {
  /** Its `check` throws once there is no time left. */
  deadline?: { check(): void } | null;
}

/**
 * Turns to learn times messages of a conversation whose beginnings must each be rendered alone: what that costs grows with both.
 * 256 messages, half of them to learn, are a quarter of it.
 */
const MOST_APART = 1 << 17;

/**
 * A chat template as transformers runs it: Jinja with trim_blocks and lstrip_blocks, the special tokens by name
 * (`bos_token`, …), `raise_exception` and `strftime_now`. Templates are the model's, not a user's.
 */
export class ChatTemplate {
  readonly #program: ReturnType<typeof parse>;
  readonly #variables: Readonly<Record<string, string | boolean | null>>;
  readonly #plain: PlainTemplate;

  /** Throws `invalid_chat_template` for Jinja that does not parse. */
  constructor(source: string, specialTokens: Record<string, string>) {
    this.#variables = { ...CONSTANTS, ...specialTokens, tools: null, documents: null };
    try {
      this.#program = parse(tokenize(source, { trim_blocks: true, lstrip_blocks: true }));
      this.#plain = new PlainTemplate(this.#program.body, this.#variables);
    } catch (cause) {
      const message = `the chat template does not parse: ${reason(cause)}`;
      throw new GraftError('invalid_chat_template', message, { param: 'model', cause });
    }
  }

  /**
   * Throws `chat_template_error` with the template's own words when it refuses the conversation, `invalid_chat_template` when it takes
   * more steps than a template needs.
   */
  render(
    messages: readonly Message[],
    { addGenerationPrompt = false, now = new Date(), kwargs = {} }: ChatTemplateOptions = {},
  ): string {
    const clock = (format: string) => strftime(now, format);
    const input = { messages, addGenerationPrompt, strftime: clock, variables: kwargs };
    return this.#plain.render(input) ?? this.#interpret(messages, { addGenerationPrompt, now, kwargs });
  }

  /**
   * The conversation's text, and where the turns of the messages numbered `turns` (ascending) lie in it. Throws
   * `unsupported_chat_template` when the text does not begin with a turn's prompt, and what `render` throws.
   */
  renderTurns(
    messages: readonly Message[],
    turns: readonly number[],
    { now = new Date(), kwargs = {}, deadline = null }: TurnsOptions = {},
  ): RenderedTurns {
    const input = {
      messages,
      addGenerationPrompt: false,
      strftime: (format: string) => strftime(now, format),
      variables: kwargs,
    };
    const plain = this.#plain.renderTurns(input, turns);
    return plain ?? this.#renderApart(messages, turns, { now, kwargs, deadline });
  }

  /**
   * What the template writes around turns, from the end of the first one's content on: before that it may describe the tokens that the
   * model writes itself, as SmolLM3's does with `<think>`. Without roles and orders that it refuses.
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

  #renderApart(
    messages: readonly Message[],
    turns: readonly number[],
    { deadline, ...options }: Required<TurnsOptions>,
  ): RenderedTurns {
    if (turns.length * messages.length > MOST_APART) {
      const most = Math.floor(MOST_APART / messages.length);
      const message =
        `the conversation has ${messages.length} messages and ${turns.length} of them to learn; ` +
        `with this model's chat template, which looks ahead, ${most} of so many can be learnt`;
      throw new GraftError('chat_template_error', message, { param: 'messages' });
    }
    const text = this.render(messages, options);
    const places = turns.map((turn) => {
      deadline?.check();
      const prompt = this.render(messages.slice(0, turn), { addGenerationPrompt: true, ...options });
      if (!text.startsWith(prompt)) {
        throw new GraftError(
          'unsupported_chat_template',
          "the model's chat template rewrites earlier turns; its assistant turns cannot be told apart; with 'weight' 0 in all assistant messages but the last, that one is learnt",
          { param: 'model' },
        );
      }
      const through = turn + 1 === messages.length ? text : this.render(messages.slice(0, turn + 1), options);
      return { prompt: prompt.length, through: text.startsWith(through) ? through.length : text.length };
    });
    return { text, turns: places };
  }

  /** Any Jinja, slowly: 20 times as long. */
  #interpret(
    messages: readonly Message[],
    { addGenerationPrompt, now, kwargs }: Required<ChatTemplateOptions>,
  ): string {
    const variables = {
      ...this.#variables,
      ...kwargs,
      range: boundedRange,
      raise_exception(message: string) {
        throw new Error(message);
      },
      strftime_now: (format: string) => strftime(now, format),
      messages,
      add_generation_prompt: addGenerationPrompt,
    };
    try {
      // The library's own Template always shows the machine's clock, in the machine's locale.
      const environment = new Environment();
      for (const [name, value] of Object.entries(variables)) environment.set(name, value);
      const budget = new TemplateBudget(messages);
      return String(new BoundedInterpreter(environment, budget).run(this.#program).value);
    } catch (cause) {
      if (cause instanceof GraftError) throw cause;
      const message = `the chat template refuses these messages: ${reason(cause)}`;
      throw new GraftError('chat_template_error', message, { param: 'messages', cause });
    }
  }
}

/** Stands for a message's content: no character, so that no template has it. */
const CONTENT = '\uFDD3';

/** Jinja's constants; the capitalised ones are in use too. */
const CONSTANTS = { true: true, false: false, none: null, True: true, False: false, None: null };

const MONTHS = 'January February March April May June July August September October November December'.split(
  ' ',
);
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');

/** The directives of Python's strftime that templates use, in the C locale. */
function strftime(date: Date, format: string): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const directives: Record<string, string> = {
    Y: String(date.getFullYear()),
    y: two(date.getFullYear() % 100),
    m: two(date.getMonth() + 1),
    d: two(date.getDate()),
    H: two(date.getHours()),
    I: two(date.getHours() % 12 || 12),
    M: two(date.getMinutes()),
    S: two(date.getSeconds()),
    p: date.getHours() < 12 ? 'AM' : 'PM',
    B: MONTHS[date.getMonth()] as string,
    b: (MONTHS[date.getMonth()] as string).slice(0, 3),
    A: DAYS[date.getDay()] as string,
    a: (DAYS[date.getDay()] as string).slice(0, 3),
    '%': '%',
  };
  return format.replace(/%(.)/g, (whole, letter: string) => directives[letter] ?? whole);
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
