import { commonLength } from '../text/common-length.ts';
import type { Tokenizer, WholeText } from '../text/tokenizer.ts';
import type { TrainingMessage } from './chat-line.ts';
import type { RawExample } from './raw-example.ts';

/** What `strftime_now` shows in training: a date that stays the same when a job is resumed on another day. */
const TRAINING_DATE = new Date(2024, 6, 26, 12);

export interface LabelledTokens {
  ids: Int32Array;
  /** 1 where the token is a training target; never at 0, which nothing predicts. */
  labelled: Uint8Array;
}

/**
 * Tokens and labels of one example for a language model. Chat: what the model itself has to say, that is each assistant turn
 * from the end of the generation prompt through its end-of-turn token. Prompt and completion: the completion and eos. Text: all
 * after the first token, and eos. Throws `chat_template_error`, `unsupported_chat_template`.
 */
export function labelledTokens(
  tokenizer: Tokenizer,
  example: Extract<RawExample, { format: 'chat' | 'prompt_completion' | 'text' }>,
): LabelledTokens {
  switch (example.format) {
    case 'chat':
      return chatTokens(tokenizer, example.messages);
    case 'prompt_completion': {
      const { ids, promptLength } = joinedIds(tokenizer, example.prompt, example.completion);
      return withLabels(tokenizer.withEos(ids), [[promptLength, Number.POSITIVE_INFINITY]]);
    }
    case 'text':
      return withLabels(tokenizer.withEos(tokenizer.encode(example.text)), [[0, Number.POSITIVE_INFINITY]]);
  }
}

function chatTokens(tokenizer: Tokenizer, turns: TrainingMessage[]): LabelledTokens {
  // `weight` is not part of a chat.
  const messages = turns.map(({ weight: _, ...message }) => message);
  const learnt = turns.flatMap(({ role, weight }, i) => (role === 'assistant' && weight !== 0 ? [i] : []));
  const { text, turns: places } = tokenizer.renderTurns(messages, learnt, TRAINING_DATE);
  const whole = tokenizer.encodeWhole(text);
  const spans: [from: number, to: number][] = [];

  for (const [n, { prompt, through }] of places.entries()) {
    const from = whole.beginning(prompt).common;
    const turn = text.slice(prompt, through);
    const content = turns[learnt[n]!]!.content.trim();
    const start = turn.indexOf(content);
    const contentEnd = start === -1 ? turn.length : start + content.length;
    // The turn ends with the first special token after its content; a template may have none.
    const last = tokenizer.specialTokensIn(turn).findIndex((at) => at >= contentEnd);
    const end = last === -1 ? -1 : nthSpecial(tokenizer, whole.ids, from, last);
    spans.push([from, end === -1 ? coveredTokens(whole, prompt + contentEnd) : end + 1]);
  }
  return withLabels(whole.ids, spans);
}

/**
 * Prompt and completion as one sequence. Tokenised together when that leaves the prompt's tokens as they are at inference;
 * apart when a token would span both.
 */
function joinedIds(
  tokenizer: Tokenizer,
  prompt: string,
  completion: string,
): { ids: number[]; promptLength: number } {
  const before = tokenizer.withoutEos(tokenizer.encode(prompt));
  const joined = tokenizer.encode(prompt + completion);
  if (commonLength(before, joined) === before.length) return { ids: joined, promptLength: before.length };
  return {
    ids: [...before, ...tokenizer.encode(completion, { addSpecialTokens: false })],
    promptLength: before.length,
  };
}

function withLabels(ids: readonly number[], spans: [from: number, to: number][]): LabelledTokens {
  const labelled = new Uint8Array(ids.length);
  for (const [from, to] of spans) labelled.fill(1, Math.max(1, from), Math.min(to, ids.length));
  return { ids: Int32Array.from(ids), labelled };
}

/** Index of special token number `n` (from 0) at or after `from`, or -1. */
function nthSpecial(tokenizer: Tokenizer, ids: readonly number[], from: number, n: number): number {
  let left = n;
  for (let at = from; at < ids.length; at++) if (tokenizer.isSpecial(ids[at]!) && left-- === 0) return at;
  return -1;
}

/** How many tokens of the whole hold the text that ends at `end`. The last may hold more than that text. */
function coveredTokens(whole: WholeText, end: number): number {
  const { tokens, common } = whole.beginning(end);
  return common === tokens ? common : common + 1;
}
