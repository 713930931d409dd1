/** Worker thread that tokenises prompts, so that answers in progress need not wait. */
import { isDeepStrictEqual } from 'node:util';
import { parentPort } from 'node:worker_threads';
import { GraftError } from '../../errors.ts';
import { type EncodeOptions, loadTokenizer, type Tokenizer, type TokenizerFiles } from '../../text/index.ts';
import { answerCalls } from '../../threads/thread.ts';
import { fewestTokensBy } from './fewest-tokens.ts';
import {
  type Prompt,
  type PromptLimits,
  type PromptRules,
  type PromptTokens,
  promptTokens,
} from './prompt-tokens.ts';

/** A newly started thread receives the tokenizer's files first. */
export type PromptCall =
  | { files: TokenizerFiles; vocabularySize: number }
  | { prompt: Prompt; limits: PromptLimits; team: string };

export type PromptAnswer =
  | PromptTokens
  | { ready: boolean }
  | { fault: Pick<GraftError, 'code' | 'message' | 'fault' | 'param'> };

let rules: PromptRules | null = null;
/** The last tokenised text: all choices of one request have the same. */
let last: { team: string; text: string; options: EncodeOptions; ids: number[] } | null = null;

function encodeFor(team: string, { tokenizer }: PromptRules): Tokenizer['encode'] {
  return (text, options = {}) => {
    if (last?.team !== team || last.text !== text || !isDeepStrictEqual(last.options, options))
      last = { team, text, options, ids: tokenizer.encode(text, options) };
    return last.ids;
  };
}

answerCalls<PromptCall, PromptAnswer>(parentPort!, (call) => {
  if ('files' in call) {
    const { files, vocabularySize } = call;
    rules = { tokenizer: loadTokenizer(files), fewestTokens: fewestTokensBy(files), vocabularySize };
    return { ready: true };
  }
  if (!rules) return { ready: false };
  try {
    return promptTokens(call.prompt, call.limits, rules, encodeFor(call.team, rules));
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    const { code, message, fault, param } = error;
    return { fault: { code, message, fault, param } };
  }
});
