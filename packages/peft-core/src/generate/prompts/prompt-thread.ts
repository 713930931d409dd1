/** Worker thread that tokenises prompts, so that answers in progress need not wait. */
import { isDeepStrictEqual } from 'node:util';
import { parentPort } from 'node:worker_threads';
import { turnEnds } from '../../chat/turn-ends.ts';
import { GraftError } from '../../errors.ts';
import {
  type EncodeOptions,
  loadTokenizer,
  type Tokenizer,
  type TokenizerFiles,
  withChatTemplate,
} from '../../text/index.ts';
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
let baseFiles: TokenizerFiles | null = null;
/** Rules with the chat templates of adapters, the least recently used first. A tokenizer may take 100 MB. */
const own = new Map<string, PromptRules & { turnEnds: readonly number[] }>();
const MAX_OWN = 2;

function ownRules(chatTemplate: string, base: PromptRules): PromptRules & { turnEnds: readonly number[] } {
  let found = own.get(chatTemplate);
  if (!found) {
    const tokenizer = loadTokenizer(withChatTemplate(baseFiles!, chatTemplate));
    const { fewestTokens, vocabularySize } = base;
    found = { tokenizer, fewestTokens, vocabularySize, turnEnds: turnEnds(tokenizer) };
  }
  own.delete(chatTemplate);
  own.set(chatTemplate, found);
  const [oldest] = own.keys();
  if (own.size > MAX_OWN) own.delete(oldest!);
  return found;
}
/** The last tokenised text: all choices of one request have the same. */
let last: { team: string; tokenizer: Tokenizer; text: string; options: EncodeOptions; ids: number[] } | null =
  null;

function encodeFor(team: string, { tokenizer }: PromptRules): Tokenizer['encode'] {
  return (text, options = {}) => {
    const isSame = last?.team === team && last.tokenizer === tokenizer && last.text === text;
    if (!last || !isSame || !isDeepStrictEqual(last.options, options))
      last = { team, tokenizer, text, options, ids: tokenizer.encode(text, options) };
    return last.ids;
  };
}

answerCalls<PromptCall, PromptAnswer>(parentPort!, (call) => {
  if ('files' in call) {
    const { files, vocabularySize } = call;
    baseFiles = files;
    own.clear();
    rules = { tokenizer: loadTokenizer(files), fewestTokens: fewestTokensBy(files), vocabularySize };
    return { ready: true };
  }
  if (!rules) return { ready: false };
  try {
    const { prompt, limits, team } = call;
    const template = 'messages' in prompt ? prompt.chatTemplate : null;
    if (!template) return promptTokens(prompt, limits, rules, encodeFor(team, rules));
    const { turnEnds, ...ofTemplate } = ownRules(template, rules);
    const read = promptTokens(prompt, limits, ofTemplate, encodeFor(team, ofTemplate));
    return 'ids' in read ? { ids: read.ids, end: read.end, turnEnds } : read;
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    const { code, message, fault, param } = error;
    return { fault: { code, message, fault, param } };
  }
});
