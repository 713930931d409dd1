import type { TemplateKwargs } from '../schema/template-kwargs.ts';
import type { TurnsOptions } from './chat-template.ts';
import { isTrainedOn, lengthOfMessage, type Message } from './message.ts';
import { type MessagePart, messageParts } from './message-parts.ts';
import type { RenderedTurns } from './plain-template.ts';

/**
 * Date shown by `strftime_now` in training, and in answers of every adapter: an adapter sees the prompt that it was trained on, a job
 * resumed on another day trains on the same text, and a text does not change overnight. Some templates use this date themselves, for
 * renderers without a clock.
 */
export const TRAINING_DATE = new Date(2024, 6, 26, 12);

/** The tokens of a text, and the number of tokens in each of its prefixes. */
interface WholeTokens {
  readonly ids: readonly number[];
  /**
   * Number of complete tokens before `end` (UTF-16 units). `isExact`: whether the last of them ends at `end`; otherwise the next token
   * contains text from both sides.
   */
  beginning(end: number): { tokens: number; isExact: boolean };
}

export interface EncodedTurns extends RenderedTurns {
  whole: WholeTokens;
}

export interface EncodeTurnsOptions extends TurnsOptions {
  /** Special tokens in messages are encoded as tokens, not as plain text. Default false. */
  allowSpecialTokens?: boolean;
}

/** The part of a tokenizer that locates the turns of a conversation. */
export interface TurnTokenizer {
  /** A conversation as text and tokens, and where the turns of the messages numbered `turns` (ascending) are in the text. */
  encodeTurns(
    messages: readonly Message[],
    turns: readonly number[],
    options?: EncodeTurnsOptions,
  ): EncodedTurns;
  isSpecial(id: number): boolean;
}

export interface SpanOptions extends Pick<EncodeTurnsOptions, 'allowSpecialTokens' | 'deadline'> {
  /** Additional variables of the chat template. */
  templateKwargs?: TemplateKwargs;
  /** A much longer conversation is abandoned before its turns are located. Default: no limit. */
  most?: number;
  /** Also returns `parts`. Default false. */
  parts?: boolean;
}

/** Range of a turn's tokens; `to` is exclusive. */
export type Span = [from: number, to: number];

/** A conversation's tokens, and the ascending spans of the turns that are trained on. */
interface AssistantSpans {
  ids: readonly number[];
  spans: Span[];
  /** Where the messages are; null without the option. */
  parts: MessagePart[] | null;
}

/** UTF-16 units per allowed token above which the length is checked before turns are located: below, the check would save nothing. */
const MUCH_LONGER = 4;

/**
 * The text that the model itself has to generate in a conversation: each assistant turn that is trained on, from the end of the
 * generation prompt through its end-of-turn token. Null for a conversation with more tokens than `most`. Throws
 * `chat_template_error`, `unsupported_chat_template`, `text_too_slow`.
 */
export function assistantSpans(
  tokenizer: TurnTokenizer,
  messages: readonly Message[],
  { most = Number.POSITIVE_INFINITY, ...options }: SpanOptions,
): AssistantSpans | null {
  const turns = messages.flatMap((message, i) => (isTrainedOn(message) ? [i] : []));
  const length = messages.reduce((sum, message) => sum + lengthOfMessage(message), 0);
  if (length > MUCH_LONGER * most && turns.length > 1) {
    const { ids, spans } = spansOf(tokenizer, messages, turns.slice(-1), options);
    const [[from, to]] = spans as [Span];
    const end = Math.min(to, ids.length);
    if ((end > Math.max(1, from) ? end : 0) > most) return null;
  }
  return spansOf(tokenizer, messages, turns, options);
}

/** `turns`: numbers of messages, ascending. */
function spansOf(
  tokenizer: TurnTokenizer,
  messages: readonly Message[],
  turns: readonly number[],
  {
    allowSpecialTokens = false,
    templateKwargs = {},
    deadline = null,
    parts = false,
  }: Omit<SpanOptions, 'most'>,
): AssistantSpans {
  const shown = messages.map(({ weight: _, ...message }) => message);
  const options = { now: TRAINING_DATE, kwargs: templateKwargs, allowSpecialTokens, deadline };
  const encoded = tokenizer.encodeTurns(shown, turns, options);
  const contents = turns.map((turn) => messages[turn]!.content ?? '');
  const spans = turnTokens(tokenizer, encoded, contents).map(({ from, to }): Span => [from, to]);
  return { ids: encoded.whole.ids, spans, parts: parts ? messageParts(encoded, messages, turns) : null };
}

/** Tokens of an assistant turn, as positions in the ids of the whole text. */
export interface TurnTokens {
  from: number;
  /** Position after the token that ends the turn, or after the content if no token ends it. */
  to: number;
  /** Id of the token that ends the turn: the first special token after the content. Null if the template writes none. */
  end: number | null;
}

/**
 * The tokens of each turn in a conversation. If the last token of a turn is special, the model generates it when its answer is
 * complete, so `turnEnds` uses this function to find the tokens that end an answer. `contents`: those of the turns' messages.
 */
export function turnTokens(
  tokenizer: TurnTokenizer,
  { text, turns, whole }: EncodedTurns,
  contents: readonly string[],
): TurnTokens[] {
  return turns.map(({ prompt, through: latest }, n) => {
    // If the end of a turn is unknown, it is at most the start of the next turn.
    const through = Math.min(latest, turns[n + 1]?.prompt ?? text.length);
    const from = whole.beginning(prompt).tokens;
    const turn = text.slice(prompt, through);
    const said = contents[n]!.trim();
    const start = turn.indexOf(said);
    const contentEnd = start === -1 ? turn.length : start + said.length;
    const { tokens, isExact } = whole.beginning(prompt + contentEnd);
    const last = whole.beginning(through).tokens;
    for (let at = tokens; at < last; at++)
      if (tokenizer.isSpecial(whole.ids[at]!)) return { from, to: at + 1, end: whole.ids[at]! };
    // The token with the content's last character may extend beyond the content.
    return { from, to: tokens + (isExact ? 0 : 1), end: null };
  });
}
