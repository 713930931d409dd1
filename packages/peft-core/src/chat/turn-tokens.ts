import type { TurnsOptions } from './chat-template.ts';
import type { Message } from './message.ts';
import type { RenderedTurns, TextRange, TurnPlace } from './rendered-turns.ts';
import { splitReasoning } from './tool-styles/thinking.ts';

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
  /**
   * A conversation as text and tokens, and where the turns of the messages numbered `turns` (ascending) are in the text. Null if its tokens
   * do not begin with those of the prompt that asks for one of these turns.
   */
  encodeTurns(
    messages: readonly Message[],
    turns: readonly number[],
    options?: EncodeTurnsOptions,
  ): EncodedTurns | null;
  /** The prompt that asks for the last message, and that message as an answer after it: the tokens begin with those of the prompt. */
  encodeAnswer(messages: readonly Message[], options?: EncodeTurnsOptions): EncodedTurns;
  isSpecial(id: number): boolean;
}

/** Tokens of an assistant turn, as positions in the ids of the whole text. */
export interface TurnTokens {
  from: number;
  /** Position after the token that ends the turn, or after the content if no token ends it. */
  to: number;
  /** Id of the token that ends the turn. Null if the template writes none. */
  end: number | null;
}

/**
 * The tokens of one turn in a template without marks, through the token that ends it: the last of the turn's tokens that is one of `ends`, as a
 * turn may have other special tokens before, such as those around reasoning and tool calls. Null if the template writes this turn differently
 * when it is the last, which shows in the lack of its end. `ends` empty: for a template that ends turns with no special token.
 * `next`: start of the next turn, or the length of the text.
 */
export function turnTokens(
  tokenizer: TurnTokenizer,
  { whole, text }: EncodedTurns,
  {
    place,
    next,
    message,
    ends,
  }: { place: TurnPlace; next: number; message: Message; ends: readonly number[] },
): TurnTokens | null {
  const { prompt } = place;
  const through = Math.min(place.through, next);
  const from = whole.beginning(prompt).tokens;
  const written = text.slice(prompt, through);
  const content = splitReasoning(message).content.trim();
  const start = content === '' ? -1 : written.lastIndexOf(content);
  const contentEnd = start === -1 ? written.trimEnd().length : start + content.length;
  // Queries are in ascending order: one about an earlier place than the last starts again from the beginning of the text.
  const { tokens, isExact } = whole.beginning(prompt + contentEnd);
  const last = whole.beginning(through).tokens;
  for (let at = last - 1; at >= from; at--)
    if (ends.includes(whole.ids[at]!)) return { from, to: at + 1, end: whole.ids[at]! };
  // Without an end token, only a turn that is written like this when it is the last can be trained on within the whole.
  if (!place.isPrefix && (ends.length === 0 || through < text.length)) return null;
  for (let at = tokens; at < last; at++)
    if (tokenizer.isSpecial(whole.ids[at]!)) return { from, to: at + 1, end: whole.ids[at]! };
  // The token with the content's last character may extend beyond the content.
  return { from, to: tokens + (isExact ? 0 : 1), end: null };
}

/** The tokens that have a part of a range of the text. */
export function tokensOf({ whole }: EncodedTurns, { from, to }: TextRange): { from: number; to: number } {
  const start = whole.beginning(from).tokens;
  const { tokens, isExact } = whole.beginning(to);
  return { from: start, to: Math.max(start, tokens + (isExact ? 0 : 1)) };
}
