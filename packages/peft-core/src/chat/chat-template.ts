import { Environment, parse, tokenize } from '@huggingface/jinja';
import { GraftError } from '../errors.ts';
import type { TemplateKwargs } from '../schema/template-kwargs.ts';
import type { Message, Tool } from './message.ts';
import { PlainTemplate, type RenderedTurns } from './plain-template.ts';
import { BoundedInterpreter, boundedRange, TemplateBudget } from './template-budget.ts';

export interface ChatTemplateOptions {
  /** Appends the header of an assistant turn, which the model continues. */
  addGenerationPrompt?: boolean;
  /** Date shown by `strftime_now`; default now. */
  now?: Date;
  /** Additional variables of the template, already validated with `templateKwargsFault`. */
  kwargs?: TemplateKwargs;
  /** Tools that the conversation may call; default none. */
  tools?: readonly Tool[];
}

export interface TurnsOptions extends Pick<ChatTemplateOptions, 'now' | 'kwargs'> {
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
  readonly #program: ReturnType<typeof parse>;
  readonly #variables: Readonly<Record<string, string | boolean | null>>;
  readonly #plain: PlainTemplate;

  /** Throws `invalid_chat_template` for Jinja that cannot be parsed. */
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
   * Throws `chat_template_error` with the template's own message if it rejects the conversation, `invalid_chat_template` if it exceeds the
   * budget of steps.
   */
  render(
    messages: readonly Message[],
    { addGenerationPrompt = false, now = new Date(), kwargs: given = {}, tools }: ChatTemplateOptions = {},
  ): string {
    const clock = (format: string) => strftime(now, format);
    const kwargs = tools && tools.length > 0 ? { ...given, tools } : given;
    const input = { messages, addGenerationPrompt, strftime: clock, variables: kwargs };
    return this.#plain.render(input) ?? this.#interpret(messages, { addGenerationPrompt, now, kwargs });
  }

  /**
   * The conversation's text, and where the turns of the messages numbered `turns` (ascending) are in it. Throws
   * `unsupported_chat_template` if the text does not start with a turn's prompt, and the errors of `render`.
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
   * The text that the template writes around turns, from the end of the first turn's content on: the text before may describe tokens that
   * the model generates, as SmolLM3's template does with `<think>`. Skips roles and orders that the template rejects.
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
    if (turns.length * messages.length > MAX_APART) {
      const most = Math.floor(MAX_APART / messages.length);
      const message =
        `the conversation has ${messages.length} messages, ${turns.length} of them to train on; ` +
        `with this model's chat template, which looks ahead, at most ${most} messages of a conversation this long can be trained on`;
      throw new GraftError('chat_template_error', message, { param: 'messages' });
    }
    const text = this.render(messages, options);
    const places = turns.map((turn) => {
      deadline?.check();
      const prompt = this.render(messages.slice(0, turn), { addGenerationPrompt: true, ...options });
      if (!text.startsWith(prompt)) {
        throw new GraftError(
          'unsupported_chat_template',
          "the model's chat template rewrites earlier turns; its assistant turns cannot be located; set 'weight' to 0 in all assistant messages but the last to train on that one",
          { param: 'model' },
        );
      }
      const through = turn + 1 === messages.length ? text : this.render(messages.slice(0, turn + 1), options);
      return { prompt: prompt.length, through: text.startsWith(through) ? through.length : text.length };
    });
    return { text, turns: places };
  }

  /** Runs any Jinja, about 20 times slower. */
  #interpret(
    messages: readonly Message[],
    { addGenerationPrompt, now, kwargs }: Required<Omit<ChatTemplateOptions, 'tools'>>,
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
      // The library's own Template always uses the machine's clock and locale.
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

/** Placeholder for a message's content: a noncharacter, which no template contains. */
const CONTENT = '\uFDD3';

/** Jinja's constants; templates also use the capitalised ones. */
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
