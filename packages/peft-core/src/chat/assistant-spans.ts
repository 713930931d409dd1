import type { TemplateKwargs } from '../schema/template-kwargs.ts';
import type { TurnsOptions } from './chat-template.ts';
import { isTrainedOn, type Message } from './message.ts';
import type { RenderedTurns } from './plain-template.ts';

/**
 * What `strftime_now` shows in training, and to every adapter in answers: an adapter reads the prompt that it was trained on, a job that is
 * resumed on another day learns the same, and a text does not change overnight. Some templates have it themselves, for renderers without a clock.
 */
export const LEARNT_DATE = new Date(2024, 6, 26, 12);

/** A text's tokens, and how many of them its beginnings hold. */
interface WholeTokens {
  readonly ids: readonly number[];
  /**
   * How many tokens lie before `end` (UTF-16 units) as a whole, and whether the beginning that ends there ends with the last of
   * them: else the next token holds text from both sides.
   */
  beginning(end: number): { tokens: number; isExact: boolean };
}

export interface EncodedTurns extends RenderedTurns {
  whole: WholeTokens;
}

export interface EncodeTurnsOptions extends TurnsOptions {
  /** Special tokens in messages are tokens, not plain text. Default false. */
  allowSpecialTokens?: boolean;
}

/** The part of a tokenizer that finds the turns of a conversation. */
export interface TurnTokenizer {
  /** A conversation as text and tokens, and where the turns of the messages numbered `turns` (ascending) lie in the text. */
  encodeTurns(
    messages: readonly Message[],
    turns: readonly number[],
    options?: EncodeTurnsOptions,
  ): EncodedTurns;
  isSpecial(id: number): boolean;
}

export interface SpanOptions extends Pick<EncodeTurnsOptions, 'allowSpecialTokens' | 'deadline'> {
  /** Other variables of the chat template. */
  templateKwargs?: TemplateKwargs;
  /** A conversation that is far longer is abandoned before its turns are located. Default: no limit. */
  most?: number;
}

/** From the first token of a turn to the one after its last. */
export type Span = [from: number, to: number];

/** A conversation's tokens, and the spans of the turns that it trains on, ascending. */
interface AssistantSpans {
  ids: readonly number[];
  spans: Span[];
}

/** UTF-16 units for each token that is allowed: checking shorter conversations before their turns are located saves nothing. */
const MUCH_LONGER = 4;

/**
 * What the model itself has to write in a conversation: each assistant turn that counts, from the end of the generation prompt
 * through its end-of-turn token. Null for a conversation with more tokens than `most`. Throws `chat_template_error`,
 * `unsupported_chat_template`, `text_too_slow`.
 */
export function assistantSpans(
  tokenizer: TurnTokenizer,
  messages: readonly Message[],
  { most = Number.POSITIVE_INFINITY, ...options }: SpanOptions,
): AssistantSpans | null {
  const turns = messages.flatMap((message, i) => (isTrainedOn(message) ? [i] : []));
  const length = messages.reduce((sum, { content }) => sum + content.length, 0);
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
  { allowSpecialTokens = false, templateKwargs = {}, deadline = null }: Omit<SpanOptions, 'most'>,
): AssistantSpans {
  const shown = messages.map(({ weight: _, ...message }) => message);
  const options = { now: LEARNT_DATE, kwargs: templateKwargs, allowSpecialTokens, deadline };
  const encoded = tokenizer.encodeTurns(shown, turns, options);
  const contents = turns.map((turn) => messages[turn]!.content);
  const spans = turnTokens(tokenizer, encoded, contents).map(({ from, to }): Span => [from, to]);
  return { ids: encoded.whole.ids, spans };
}

/** Tokens of an assistant turn, as positions in the whole text's ids. */
export interface TurnTokens {
  from: number;
  /** After the token that ends the turn, or after the content where no token does. */
  to: number;
  /** The id of the token that ends the turn: the first special token after the content. Null where the template writes none. */
  end: number | null;
}

/**
 * Which tokens of a conversation each of its turns is. The last one, where it is special, is what the model writes when its answer
 * is complete, so `turnEnds` finds by this the tokens that end an answer. `contents`: of the turns' messages.
 */
export function turnTokens(
  tokenizer: TurnTokenizer,
  { text, turns, whole }: EncodedTurns,
  contents: readonly string[],
): TurnTokens[] {
  return turns.map(({ prompt, through: latest }, n) => {
    // Where it is not known where a turn ends, it ends before the next one.
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
    // The token that holds the content's end may hold more than that.
    return { from, to: tokens + (isExact ? 0 : 1), end: null };
  });
}
