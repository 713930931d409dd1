import { GraftError } from '../errors.ts';
import type { Tokenizer } from './tokenizer.ts';
import type { WholeText } from './whole-text.ts';

/** One assistant turn of a rendered conversation. */
export interface TurnText {
  /** Where the generation prompt before the turn ends, in UTF-16 units of the whole text. */
  prompt: number;
  /** Where the turn ends at the latest. */
  through: number;
  /** What the assistant says in it. */
  content: string;
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
 * Which tokens of a conversation an assistant turn is: what is learnt of it in training. Its last one, where it is special, is what the
 * model writes when it has said all, so `turnEnds` finds by this the tokens that end an answer.
 */
export function tokensOfTurn(
  tokenizer: Tokenizer,
  text: string,
  whole: WholeText,
  { prompt, through, content }: TurnText,
): TurnTokens {
  const from = whole.beginning(prompt).tokens;
  const turn = text.slice(prompt, through);
  const said = content.trim();
  const start = turn.indexOf(said);
  const contentEnd = start === -1 ? turn.length : start + said.length;
  const { tokens, isExact } = whole.beginning(prompt + contentEnd);
  const last = whole.beginning(through).tokens;
  for (let at = tokens; at < last; at++)
    if (tokenizer.isSpecial(whole.ids[at]!)) return { from, to: at + 1, end: whole.ids[at]! };
  // The token that holds the content's end may hold more than that.
  return { from, to: tokens + (isExact ? 0 : 1), end: null };
}

/** Content that no template writes itself. */
const SAID = ['Graft', 'Quince'];

const CONVERSATION = SAID.flatMap((content) => [
  { role: 'user', content: 'Hello' },
  { role: 'assistant', content },
]);

/**
 * Ids of the tokens that end an assistant's turn by the model's chat template, such as `<|im_end|>`: what training on conversations
 * teaches a model to end with, and so what ends an answer to one. Empty for a model without a template, for a template that writes
 * no special token there, and for one that refuses a plain conversation.
 */
export function turnEnds(tokenizer: Tokenizer): number[] {
  const ends = orNull(() => endsOfTurns(tokenizer)) ?? orNull(() => endOfLast(tokenizer)) ?? [];
  return [...new Set(ends.filter((end) => end !== null))];
}

/** As training sees them. A template may end the last turn in another way than those before. */
function endsOfTurns(tokenizer: Tokenizer): (number | null)[] {
  const rendered = tokenizer.renderTurns(CONVERSATION, [1, 3]);
  const { text, turns } = rendered;
  const whole = tokenizer.encodeWhole(rendered);
  return turns.map(({ prompt, through }, n) => {
    const most = Math.min(through, turns[n + 1]?.prompt ?? text.length);
    return tokensOfTurn(tokenizer, text, whole, { prompt, through: most, content: SAID[n]! }).end;
  });
}

/** Where a template writes earlier turns in another way, so that training refuses it: of the last turn, as far as the text's end. */
function endOfLast(tokenizer: Tokenizer): (number | null)[] {
  const rendered = tokenizer.renderChat(CONVERSATION);
  const { text } = rendered;
  const content = SAID.at(-1)!;
  const prompt = text.lastIndexOf(content);
  if (prompt === -1) return [];
  const turn = { prompt, through: text.length, content };
  return [tokensOfTurn(tokenizer, text, tokenizer.encodeWhole(rendered), turn).end];
}

function orNull<T>(of: () => T): T | null {
  try {
    return of();
  } catch (error) {
    if (error instanceof GraftError) return null;
    throw error;
  }
}
