/** The vocabulary of the playground. A talk is turns; a turn is one prompt and the answers of one or two sides to it. */

export type Kind = 'chat' | 'text';

export interface Sampling {
  temperature: number;
  top_p: number;
  max_tokens: number;
  /** The same for both sides. */
  seed: number;
  stop: string[];
}

/** A token and its natural logarithm of the probability at temperature 1. */
export interface Likelihood {
  token: string;
  logprob: number;
}

export interface TakenToken extends Likelihood {
  /** The most probable ones in its place. */
  top: Likelihood[];
}

/** Text as it came, and the tokens that it was made of, where they were asked for. */
export interface Piece {
  text: string;
  tokens: TakenToken[];
}

/** All that one side is asked: enough to ask it again. */
export interface Asked {
  kind: Kind;
  model: string;
  system: string;
  /** What this side said before, oldest first; of `chat` alone. */
  before: { prompt: string; answer: string }[];
  prompt: string;
  sampling: Sampling;
  probabilities: boolean;
}

export interface Answer {
  state: 'waiting' | 'writing' | 'done' | 'stopped' | 'failed';
  asked: Asked;
  pieces: Piece[];
  /** Why it ended: `length` is cut at max_tokens. */
  finish: 'stop' | 'length' | null;
  /** Tokens of the answer. */
  tokens: number | null;
  /** Milliseconds until the first piece, and until the end. */
  firstMs: number | null;
  totalMs: number | null;
  error: unknown;
}

export interface Turn {
  prompt: string;
  answers: Answer[];
}

export const textOf = ({ pieces }: Pick<Answer, 'pieces'>): string => pieces.map(({ text }) => text).join('');

export const isOpen = ({ state }: Answer): boolean => state === 'waiting' || state === 'writing';

export const newAnswer = (asked: Asked): Answer => ({
  ...{ state: 'waiting', asked, pieces: [], finish: null, tokens: null },
  ...{ firstMs: null, totalMs: null, error: null },
});

/** Pieces with one more: tokens without text of their own, such as parts of a character, go with the text that comes next. */
export function addPiece(pieces: Piece[], { text, tokens }: Piece): void {
  const last = pieces.at(-1);
  if (last?.text === '') {
    last.text = text;
    last.tokens = [...last.tokens, ...tokens];
  } else if (text !== '' || tokens.length > 0) pieces.push({ text, tokens });
}
