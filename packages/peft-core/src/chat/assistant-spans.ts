import { GraftError } from '../errors.ts';
import type { TemplateKwargs } from '../schema/template-kwargs.ts';
import { checkApart, MessagesRefused } from './chat-template.ts';
import { isTrainedOn, lengthOfMessage, type Message, type Tool } from './message.ts';
import { type MessagePart, messageParts } from './message-parts.ts';
import { commonPrefix, type TextRange } from './rendered-turns.ts';
import { checkDepth } from './template-input.ts';
import { reasoningMarks, splitReasoning } from './tool-styles/thinking.ts';
import { turnEnds } from './turn-ends.ts';
import {
  type EncodedTurns,
  type EncodeTurnsOptions,
  type TurnTokenizer,
  tokensOf,
  turnTokens,
} from './turn-tokens.ts';

/** Texts that no template contains. */
const THOUGHT = 'Medlar';
const ANSWER = 'Graft';

const known = new WeakMap<TurnTokenizer, string>();

/**
 * The part of a turn that is reasoning, with the template's marks around it: from the start of the turn through the mark that closes the
 * reasoning. Null for a message without reasoning, and where the template leaves it out. `turn`: the turn in the text.
 */
function reasoningRange(
  tokenizer: TurnTokenizer,
  text: string,
  turn: TextRange,
  message: Message,
): TextRange | null {
  const thought = splitReasoning(message).reasoning.trim();
  const at = thought === '' ? -1 : text.slice(turn.from, turn.to).indexOf(thought);
  if (at === -1) return null;
  const end = turn.from + at + thought.length;
  const rest = text.slice(end, turn.to);
  return { from: turn.from, to: end + Math.max(closingIn(rest), commonPrefix(rest, closingOf(tokenizer))) };
}

/** Length of a mark that closes reasoning, and the white space around it, at the start of `rest`; 0 if there is none. */
function closingIn(rest: string): number {
  const start = rest.trimStart();
  const marks = reasoningMarks.find(({ close }) => start.startsWith(close));
  return marks ? rest.length - start.slice(marks.close.length).trimStart().length : 0;
}

/** Text that the template writes after reasoning to close it, before it begins the answer. */
function closingOf(tokenizer: TurnTokenizer): string {
  let closing = known.get(tokenizer);
  if (closing === undefined) {
    closing = probe(tokenizer);
    known.set(tokenizer, closing);
  }
  return closing;
}

function probe(tokenizer: TurnTokenizer): string {
  /** Text before the answer in its turn; null if the prompt opens the turn in another way. */
  const before = (message: Message): string | null => {
    const encoded = tokenizer.encodeTurns([{ role: 'user', content: 'Hello' }, message], [1]);
    return encoded?.text.slice(encoded.turns[0]!.prompt, encoded.text.lastIndexOf(ANSWER)) ?? null;
  };
  try {
    const thoughtful = before({ role: 'assistant', content: ANSWER, reasoning: THOUGHT });
    const at = thoughtful?.lastIndexOf(THOUGHT) ?? -1;
    if (thoughtful === null || at === -1) return '';
    const between = thoughtful.slice(at + THOUGHT.length);
    const plain = before({ role: 'assistant', content: ANSWER });
    // The template closes reasoning where there is none, too.
    if (plain === null || plain.endsWith(between)) return between;
    // The end that both have in common opens the answer, as gpt-oss's channels do.
    return between.slice(0, between.length - commonSuffix(between, plain));
  } catch (error) {
    if (error instanceof GraftError) return '';
    throw error;
  }
}

function commonSuffix(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a.at(-1 - length) === b.at(-1 - length)) length++;
  return length;
}

/**
 * Date shown by `strftime_now` in training, and in answers of every adapter: an adapter sees the prompt that it was trained on, a job
 * resumed on another day trains on the same text, and a text does not change overnight. Some templates use this date themselves, for
 * renderers without a clock.
 */
export const TRAINING_DATE = new Date(2024, 6, 26, 12);

/** Which assistant messages with a positive weight are trained on: all, or the last. */
export type TrainOn = 'all_assistant' | 'last_assistant';

export interface SpanOptions extends Pick<EncodeTurnsOptions, 'allowSpecialTokens' | 'deadline'> {
  templateKwargs?: TemplateKwargs;
  /** A much longer conversation is abandoned before all of its turns are located. Default: no limit. */
  most?: number;
  /** Also returns `parts`. Default false. */
  parts?: boolean;
  tools?: readonly Tool[];
  /** Default `all_assistant`. */
  trainOn?: TrainOn;
  /** Excludes the reasoning of messages, and the template's marks around it. Default false. */
  maskReasoning?: boolean;
}

/** Tokens to train on; `to` is exclusive. */
export interface Span {
  from: number;
  to: number;
  weight: number;
  message: number;
}

/** A conversation's tokens, and the ascending spans that are trained on. */
export interface AssistantSpans {
  ids: readonly number[];
  spans: Span[];
  /** Where the messages are; null without the option. */
  parts: MessagePart[] | null;
}

/** UTF-16 units per allowed token above which the length is checked before turns are located: below, the check would save nothing. */
const MUCH_LONGER = 4;

/**
 * The text that the model itself has to generate in a conversation: what the template marks with `{% generation %}`, or else each
 * assistant turn that is trained on, from the end of the generation prompt through its end-of-turn token.
 *
 * One conversation; or several, if its tokens do not begin with those of the prompt that asks for each of these turns, or the template
 * writes earlier turns differently than the last, as those of models that reason do: each is then the prompt of one turn and the answer
 * after it, the only one that is trained on in it. Null for a conversation with far more tokens than
 * `most`; among several, for each such one.
 * Throws `chat_template_error`, `unsupported_chat_template`, `text_too_slow`.
 */
export function assistantSpans(
  tokenizer: TurnTokenizer,
  messages: readonly Message[],
  { most = Number.POSITIVE_INFINITY, trainOn = 'all_assistant', ...options }: SpanOptions = {},
): (AssistantSpans | null)[] | null {
  checkDepth(messages, options.tools);
  const trained = messages.flatMap((message, i) => (isTrainedOn(message) ? [i] : []));
  const turns = trainOn === 'last_assistant' ? trained.slice(-1) : trained;
  const through = (turn: number) => messages.slice(0, turn + 1);
  let length = 0;
  const lengths = messages.map((message) => (length += lengthOfMessage(message)));
  let located = turns.length;
  if (length > MUCH_LONGER * most && turns.length > 1) {
    const turn = turns.at(-1)!;
    const last =
      spansOf(tokenizer, messages, [turn], options) ?? answerSpans(tokenizer, through(turn), options);
    // Two turns show that the template writes earlier ones differently.
    if ((last.spans.at(-1)?.to ?? 0) > most)
      located = Math.max(2, turns.findLastIndex((turn) => lengths[turn]! <= MUCH_LONGER * most) + 1);
  }
  const first = turns.slice(0, located);
  const whole = spansOf(
    tokenizer,
    through(located < turns.length ? first.at(-1)! : messages.length),
    first,
    options,
  );
  if (whole) return located < turns.length ? null : [whole];
  checkApart(messages.length, located);
  return turns.map((turn, n) => (n < located ? answerSpans(tokenizer, through(turn), options) : null));
}

/** A conversation whose last message alone is trained on: as the template writes it, or as an answer after the prompt that asks for it. */
function answerSpans(
  tokenizer: TurnTokenizer,
  messages: readonly Message[],
  options: Omit<SpanOptions, 'most' | 'trainOn'>,
): AssistantSpans {
  const turn = messages.length - 1;
  try {
    const spans = spansOf(tokenizer, messages, [turn], options);
    if (spans) return spans;
    return spansIn(
      tokenizer,
      tokenizer.encodeAnswer(messages, encodingOf(options)),
      messages,
      [turn],
      options,
    )!;
  } catch (error) {
    if (!(error instanceof MessagesRefused)) throw error;
    const message = `no request asks for messages[${turn}]: the chat template refuses the messages through it (${error.reason}); give this message "weight" 0`;
    throw new GraftError('chat_template_error', message, { param: 'messages', cause: error });
  }
}

const encodingOf = ({
  allowSpecialTokens = false,
  templateKwargs = {},
  deadline = null,
  tools,
}: SpanOptions): EncodeTurnsOptions => ({
  now: TRAINING_DATE,
  kwargs: templateKwargs,
  allowSpecialTokens,
  deadline,
  ...(tools ? { tools } : {}),
});

/** `turns`: numbers of messages, ascending. Null if the prompt that asks for one of them, or what follows in an answer, is another one. */
function spansOf(
  tokenizer: TurnTokenizer,
  messages: readonly Message[],
  turns: readonly number[],
  options: Omit<SpanOptions, 'most' | 'trainOn'>,
): AssistantSpans | null {
  const encoded = tokenizer.encodeTurns(messages, turns, encodingOf(options));
  return encoded && spansIn(tokenizer, encoded, messages, turns, options);
}

/** See `spansOf`. */
function spansIn(
  tokenizer: TurnTokenizer,
  encoded: EncodedTurns,
  messages: readonly Message[],
  turns: readonly number[],
  options: Pick<SpanOptions, 'maskReasoning' | 'parts'>,
): AssistantSpans | null {
  const located = turns.map((turn, n) => rangesOf(tokenizer, encoded, n, messages[turn]!));
  if (located.includes(null)) return null;
  for (const [n, turn] of turns.entries()) refuseLostCalls(encoded, n, turn, messages[turn]!);
  const spans = located.flatMap((ranges, n): Span[] => {
    const message = turns[n]!;
    const { weight = 1 } = messages[message]!;
    const kept = options.maskReasoning
      ? withoutReasoning(tokenizer, encoded, n, messages[message]!, ranges!)
      : ranges!;
    return kept.map(({ from, to }) => ({ from, to, weight, message }));
  });
  const parts = options.parts ? messageParts(encoded, messages, turns) : null;
  return { ids: encoded.whole.ids, spans, parts };
}

/** The tokens of the turn numbered `n`; `from` and `to` are positions of tokens. Null if it cannot be trained on within the whole. */
function rangesOf(
  tokenizer: TurnTokenizer,
  encoded: EncodedTurns,
  n: number,
  message: Message,
): TextRange[] | null {
  const { turns, text } = encoded;
  const place = turns[n]!;
  if (place.generated) return place.generated.map((range) => tokensOf(encoded, range));
  const next = turns[n + 1]?.prompt ?? text.length;
  const turn = turnTokens(tokenizer, encoded, { place, next, message, ends: turnEnds(tokenizer) });
  return turn && [turn];
}

/** Throws `chat_template_error` for a call of a tool that is nowhere in its turn: the template knows no tools. */
function refuseLostCalls(
  { text, turns }: EncodedTurns,
  n: number,
  index: number,
  { tool_calls }: Message,
): void {
  if (!tool_calls) return;
  const { prompt, through } = turns[n]!;
  const written = text.slice(prompt, through);
  // Other names may be written with escapes.
  const lost = tool_calls.find(({ function: { name } }) => /^[\w.-]+$/.test(name) && !written.includes(name));
  if (!lost) return;
  const what = `messages[${index}] calls the tool "${lost.function.name}", which the model's chat template leaves out`;
  throw new GraftError('chat_template_error', `${what}; use a model or a chat template that knows tools`, {
    param: 'messages',
  });
}

function withoutReasoning(
  tokenizer: TurnTokenizer,
  encoded: EncodedTurns,
  n: number,
  message: Message,
  ranges: readonly TextRange[],
): TextRange[] {
  const { text, turns } = encoded;
  const { prompt, through } = turns[n]!;
  const reasoning = reasoningRange(tokenizer, text, { from: prompt, to: through }, message);
  if (!reasoning) return [...ranges];
  const masked = tokensOf(encoded, reasoning);
  return ranges
    .flatMap(({ from, to }) => [
      { from, to: Math.min(to, masked.from) },
      { from: Math.max(from, masked.to), to },
    ])
    .filter(({ from, to }) => from < to);
}
