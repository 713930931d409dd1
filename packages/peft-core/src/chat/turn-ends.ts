import { GraftError } from '../errors.ts';
import { type TurnTokenizer, turnTokens } from './assistant-spans.ts';

/** Content that no template writes itself. */
const CONTENTS = ['Graft', 'Quince'];

const CONVERSATION = CONTENTS.flatMap((content) => [
  { role: 'user', content: 'Hello' },
  { role: 'assistant', content },
]);

/**
 * Ids of the tokens that end an assistant's turn by the model's chat template, such as `<|im_end|>`: what training on conversations
 * teaches a model to end with, and so what ends an answer to one. Empty for a model without a template, for a template that writes
 * no special token there, and for one that refuses a plain conversation.
 */
export function turnEnds(tokenizer: TurnTokenizer): number[] {
  const ends = orNull(() => endsOfTurns(tokenizer)) ?? orNull(() => endOfLast(tokenizer)) ?? [];
  return [...new Set(ends.filter((end) => end !== null))];
}

/** As training sees them. A template may end the last turn in another way than those before. */
function endsOfTurns(tokenizer: TurnTokenizer): (number | null)[] {
  const encoded = tokenizer.encodeTurns(CONVERSATION, [1, 3]);
  return turnTokens(tokenizer, encoded, CONTENTS).map(({ end }) => end);
}

/** Where a template writes earlier turns in another way, so that training refuses it: of the last turn, as far as the text's end. */
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
