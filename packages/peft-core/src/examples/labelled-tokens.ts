import type { TemplateKwargs } from '../schema/template-kwargs.ts';
import { LEARNT_DATE } from '../text/chat-template.ts';
import { commonLength } from '../text/common-length.ts';
import type { Deadline } from '../text/deadline.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { tokensOfTurn } from '../text/turn-ends.ts';
import type { TrainingMessage } from './chat-line.ts';
import type { RawExample } from './raw-example.ts';

export interface LabelledTokens {
  ids: Int32Array;
  /** 1 where the token is a training target; never at 0, which nothing predicts. */
  labelled: Uint8Array;
}

export interface LabelOptions {
  /** Special tokens in messages, prompts and completions are tokens, not plain text. Default false. */
  allowSpecialTokens?: boolean;
  /** Other variables of the chat template. */
  templateKwargs?: TemplateKwargs;
  /** As EncodeOptions has it. */
  repeatsBos?: boolean;
  deadline?: Deadline | null;
  /** A chat that is far longer is abandoned before its turns are located. Default: no limit. */
  most?: number;
}

/**
 * Tokens and labels of one example for a language model. Chat: what the model itself has to say, that is each assistant turn
 * from the end of the generation prompt through its end-of-turn token. Prompt and completion: the completion and eos. Text: all
 * after the first token, and eos. Null for a chat with more tokens than `most`. Throws `chat_template_error`,
 * `unsupported_chat_template`, `text_too_slow`.
 */
export function labelledTokens(
  tokenizer: Tokenizer,
  example: Extract<RawExample, { format: 'chat' | 'prompt_completion' | 'text' }>,
  options: LabelOptions = {},
): LabelledTokens | null {
  switch (example.format) {
    case 'chat':
      return chatTokens(tokenizer, example.messages, options);
    case 'prompt_completion': {
      const { ids, promptLength } = joinedIds(tokenizer, example, options);
      return withLabels(tokenizer.withEos(ids), [[promptLength, Number.POSITIVE_INFINITY]]);
    }
    case 'text': {
      const ids = tokenizer.encode(example.text, {
        repeatsBos: options.repeatsBos ?? false,
        deadline: options.deadline ?? null,
      });
      return withLabels(tokenizer.withEos(ids), [[0, Number.POSITIVE_INFINITY]]);
    }
  }
}

/** UTF-16 units for each token that is allowed: checking shorter chats before their turns are located saves nothing. */
const MUCH_LONGER = 4;

function chatTokens(
  tokenizer: Tokenizer,
  turns: TrainingMessage[],
  { most = Number.POSITIVE_INFINITY, ...options }: LabelOptions,
): LabelledTokens | null {
  const learnt = turns.flatMap(({ role, weight }, i) => (role === 'assistant' && weight !== 0 ? [i] : []));
  const length = turns.reduce((sum, { content }) => sum + content.length, 0);
  if (length > MUCH_LONGER * most && learnt.length > 1) {
    const { labelled } = turnTokens(tokenizer, turns, learnt.slice(-1), options);
    if (labelled.lastIndexOf(1) + 1 > most) return null;
  }
  return turnTokens(tokenizer, turns, learnt, options);
}

/** `learnt`: numbers of turns, ascending. */
function turnTokens(
  tokenizer: Tokenizer,
  turns: TrainingMessage[],
  learnt: readonly number[],
  { allowSpecialTokens = false, templateKwargs = {}, deadline = null }: LabelOptions,
): LabelledTokens {
  // `weight` is not part of a chat.
  const messages = turns.map(({ weight: _, ...message }) => message);
  const options = { now: LEARNT_DATE, kwargs: templateKwargs, allowSpecialTokens, deadline };
  const rendered = tokenizer.renderTurns(messages, learnt, options);
  const { text, turns: places } = rendered;
  const whole = tokenizer.encodeWhole(rendered, deadline);
  const spans: [from: number, to: number][] = [];

  for (const [n, { prompt, through }] of places.entries()) {
    // Where it is not known where a turn ends, it ends before the next one.
    const most = Math.min(through, places[n + 1]?.prompt ?? text.length);
    const turn = { prompt, through: most, content: turns[learnt[n]!]!.content };
    const { from, to } = tokensOfTurn(tokenizer, text, whole, turn);
    spans.push([from, to]);
  }
  return withLabels(whole.ids, spans);
}

/**
 * Prompt and completion as one sequence. Tokenised together when that leaves the prompt's tokens as they are at inference;
 * apart when a token would span both.
 */
function joinedIds(
  tokenizer: Tokenizer,
  { prompt, completion }: { prompt: string; completion: string },
  { allowSpecialTokens = false, repeatsBos = false, deadline = null }: LabelOptions,
): { ids: number[]; promptLength: number } {
  const options = { specialTokens: allowSpecialTokens ? 'all' : 'none', repeatsBos, deadline } as const;
  const before = tokenizer.withoutEos(tokenizer.encode(prompt, options));
  const joined = tokenizer.encode(prompt + completion, options);
  if (commonLength(before, joined) === before.length) return { ids: joined, promptLength: before.length };
  return {
    ids: [...before, ...tokenizer.encode(completion, { ...options, addSpecialTokens: false })],
    promptLength: before.length,
  };
}

function withLabels(ids: readonly number[], spans: [from: number, to: number][]): LabelledTokens {
  const labelled = new Uint8Array(ids.length);
  for (const [from, to] of spans) labelled.fill(1, Math.max(1, from), Math.min(to, ids.length));
  return { ids: Int32Array.from(ids), labelled };
}
