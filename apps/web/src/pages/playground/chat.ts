import type { Tools } from './parse-tools.ts';

/** Types of the playground. A chat has turns; a turn is one prompt with the answers of one or two models (sides). */

export type Kind = 'chat' | 'text';

export interface Sampling {
  temperature: number;
  top_p: number;
  max_tokens: number;
  /** The same for both models. */
  seed: number;
  stop: string[];
}

/** A token and the natural logarithm of its probability at temperature 1. */
export interface TokenLogprob {
  token: string;
  logprob: number;
}

export interface SampledToken extends TokenLogprob {
  /** The most likely tokens at this position. */
  top: TokenLogprob[];
}

/** A piece of streamed text, with its tokens if they were requested. */
export interface Piece {
  text: string;
  tokens: SampledToken[];
}

/** A tool call; `arguments` is JSON text. */
export interface ToolCall {
  id: string;
  name: string;
  arguments: string;
}

/** An answer with tool calls, and the results that were sent back. */
export interface Step {
  text: string;
  reasoning: string;
  calls: readonly ToolCall[];
  /** In the order of the calls. */
  results: readonly string[];
}

/** An answer as later requests send it back: the last message of the model, after the steps before it. */
export interface PastAnswer {
  text: string;
  reasoning: string;
  /** Calls without results. */
  calls: readonly ToolCall[];
  steps: readonly Step[];
}

/** A request for one answer, complete enough to send it again. */
export interface AnswerRequest {
  kind: Kind;
  model: string;
  system: string;
  /** Previous turns of this side, oldest first; only for `chat`. */
  before: readonly (PastAnswer & { prompt: string })[];
  prompt: string;
  /** Answers to this prompt whose tool calls have results; only for `chat`. */
  steps: readonly Step[];
  /** Empty: none. */
  tools: Tools;
  sampling: Sampling;
  probabilities: boolean;
}

export interface Answer {
  state: 'waiting' | 'generating' | 'done' | 'stopped' | 'failed';
  request: AnswerRequest;
  pieces: Piece[];
  reasoning: string;
  calls: readonly ToolCall[];
  /** Why it ended; `length`: at max_tokens. */
  finish: 'stop' | 'length' | 'tool_calls' | null;
  tokens: number | null;
  /** Milliseconds to the first piece and to the end. */
  firstMs: number | null;
  totalMs: number | null;
  error: unknown;
}

export interface Turn {
  prompt: string;
  answers: Answer[];
}

export const answerText = ({ pieces }: Pick<Answer, 'pieces'>): string =>
  pieces.map(({ text }) => text).join('');

/** Calls of an answer that was cut off may not be JSON, and are left out. */
export const pastAnswer = ({ request, pieces, reasoning, calls, finish }: Answer): PastAnswer => ({
  text: answerText({ pieces }),
  reasoning,
  calls: finish === 'tool_calls' ? calls : [],
  steps: request.steps,
});

/** The previous turns of one side, without unanswered ones. A model added later gets the first side's answers. */
export function previousTurns(
  turns: readonly { prompt: string; answers: readonly PastAnswer[] }[],
  side: number,
): AnswerRequest['before'] {
  return turns.flatMap(({ prompt, answers }) => {
    const answer = answers[side] ?? answers[0];
    const isAnswered = answer && (answer.text !== '' || answer.calls.length > 0 || answer.steps.length > 0);
    return isAnswered ? [{ ...answer, prompt }] : [];
  });
}

export const isOpen = ({ state }: Answer): boolean => state === 'waiting' || state === 'generating';

export const newAnswer = (request: AnswerRequest): Answer => ({
  state: 'waiting',
  request,
  pieces: [],
  reasoning: '',
  calls: [],
  finish: null,
  tokens: null,
  firstMs: null,
  totalMs: null,
  error: null,
});

/** Appends a piece. Tokens without text, such as parts of a character, are joined with the next text. */
export function addPiece(pieces: Piece[], { text, tokens }: Piece): void {
  const last = pieces.at(-1);
  if (last?.text === '') {
    last.text = text;
    last.tokens = [...last.tokens, ...tokens];
  } else if (text !== '' || tokens.length > 0) pieces.push({ text, tokens });
}
