import { GraftError } from '../errors.ts';
import type { Message } from './message.ts';
import { commonPrefix, type TextRange } from './rendered-turns.ts';
import { reasoningMarks, thoughtOf } from './tool-styles/thinking.ts';
import type { TurnTokenizer } from './turn-tokens.ts';

/** Texts that no template contains. */
const THOUGHT = 'Medlar';
const ANSWER = 'Graft';

const known = new WeakMap<TurnTokenizer, string>();

/**
 * The part of a turn that is reasoning, with the template's marks around it: from the start of the turn through the mark that closes the
 * reasoning. Null for a message without reasoning, and where the template leaves it out. `turn`: the turn in the text.
 */
export function reasoningRange(
  tokenizer: TurnTokenizer,
  text: string,
  turn: TextRange,
  message: Message,
): TextRange | null {
  const thought = thoughtOf(message).thought.trim();
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

/** What the template writes after reasoning to close it, before it begins the answer. */
function closingOf(tokenizer: TurnTokenizer): string {
  let closing = known.get(tokenizer);
  if (closing === undefined) {
    closing = probe(tokenizer);
    known.set(tokenizer, closing);
  }
  return closing;
}

function probe(tokenizer: TurnTokenizer): string {
  /** What precedes the answer in its turn; null if the prompt opens the turn in another way. */
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
    // What both have opens the answer, as gpt-oss's channels do.
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
