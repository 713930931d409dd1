import { GraftError } from '../errors.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
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
  const render = (count: number, addGenerationPrompt: boolean) =>
    tokenizer.applyChatTemplate(messages.slice(0, count), { addGenerationPrompt, now: TRAINING_DATE });
  const encode = (text: string) => tokenizer.encode(text, { addSpecialTokens: false });
  const whole = render(messages.length, false);
  const ids = encode(whole);
  const spans: [from: number, to: number][] = [];

  for (const [i, { role, content, weight }] of turns.entries()) {
    if (role !== 'assistant' || weight === 0) continue;
    const prompt = render(i, true);
    if (!whole.startsWith(prompt)) {
      throw new GraftError(
        'unsupported_chat_template',
        "the model's chat template rewrites earlier turns; its assistant turns cannot be told apart",
        { param: 'model' },
      );
    }
    const from = commonLength(encode(prompt), ids);
    const through = i + 1 === turns.length ? whole : render(i + 1, false);
    const limit = whole.startsWith(through) ? through.length : whole.length;
    const contentStart = whole.indexOf(content.trim(), prompt.length);
    const contentEnd = contentStart === -1 ? limit : Math.min(limit, contentStart + content.trim().length);
    const specials = tokenizer.specialTokensIn(whole.slice(prompt.length, limit));
    // The turn ends with the first special token after its content; a template may have none.
    const last = specials.findIndex((start) => prompt.length + start >= contentEnd);
    const end = last === -1 ? -1 : nthSpecial(tokenizer, ids, from, last);
    const to = end === -1 ? coveredTokens(encode(whole.slice(0, contentEnd)), ids) : end + 1;
    spans.push([from, to]);
  }
  return withLabels(ids, spans);
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

function withLabels(ids: number[], spans: [from: number, to: number][]): LabelledTokens {
  const labelled = new Uint8Array(ids.length);
  for (const [from, to] of spans) labelled.fill(1, Math.max(1, from), Math.min(to, ids.length));
  return { ids: Int32Array.from(ids), labelled };
}

/** Index of special token number `n` (from 0) at or after `from`, or -1. */
function nthSpecial(tokenizer: Tokenizer, ids: number[], from: number, n: number): number {
  let left = n;
  return ids.findIndex((id, j) => j >= from && tokenizer.isSpecial(id) && left-- === 0);
}

/** How many tokens of `ids` hold the text whose own tokens are `prefix`. The last may hold more than that text. */
function coveredTokens(prefix: number[], ids: number[]): number {
  const common = commonLength(prefix, ids);
  return common === prefix.length ? common : common + 1;
}

function commonLength(a: number[], b: number[]): number {
  let n = 0;
  while (n < a.length && n < b.length && a[n] === b[n]) n++;
  return n;
}
