import { GraftError } from '../errors.ts';
import { type TurnTokenizer, turnTokens } from './assistant-spans.ts';

/** Content that no template contains. */
const CONTENTS = ['Graft', 'Quince'];

const CONVERSATION = CONTENTS.flatMap((content) => [
  { role: 'user', content: 'Hello' },
  { role: 'assistant', content },
]);

/**
 * Ids of the tokens that end an assistant turn in the model's chat template, such as `<|im_end|>`: training on conversations teaches a
 * model to end with them, so they end an answer to a conversation. Empty for a model without a template, for a template that writes
 * no special token there, and for one that rejects a plain conversation.
 */
export function turnEnds(tokenizer: TurnTokenizer): number[] {
  const ends = orNull(() => endsOfTurns(tokenizer)) ?? orNull(() => endOfLast(tokenizer)) ?? [];
  return [...new Set(ends.filter((end) => end !== null))];
}

/** The ends as training sees them. A template may end the last turn differently from earlier ones. */
function endsOfTurns(tokenizer: TurnTokenizer): (number | null)[] {
  const encoded = tokenizer.encodeTurns(CONVERSATION, [1, 3]);
  return turnTokens(tokenizer, encoded, CONTENTS).map(({ end }) => end);
}

/** For templates that rewrite earlier turns, so that training rejects them: the end of the last turn, up to the end of the text. */
function endOfLast(tokenizer: TurnTokenizer): (number | null)[] {
  const { text, whole } = tokenizer.encodeTurns(CONVERSATION, []);
  const content = CONTENTS.at(-1)!;
  const prompt = text.lastIndexOf(content);
  if (prompt === -1) return [];
  const turns = [{ prompt, through: text.length }];
  return turnTokens(tokenizer, { text, turns, whole }, [content]).map(({ end }) => end);
}

function orNull<T>(of: () => T): T | null {
  try {
    return of();
  } catch (error) {
    if (error instanceof GraftError) return null;
    throw error;
  }
}
