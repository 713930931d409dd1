import { TRAINING_DATE } from '../../chat/assistant-spans.ts';
import { lengthOfMessage, type Message, type Tool } from '../../chat/message.ts';
import type { TemplateKwargs } from '../../schema/template-kwargs.ts';
import { strayToken, type Tokenizer } from '../../text/index.ts';

/** The input of a request: a conversation, or a text to continue. */
export type Prompt = (Conversation | { prompt: string }) & {
  /** Special tokens in messages and prompt are encoded as tokens, not as plain text. Default false. */
  allowSpecialTokens?: boolean;
};

interface Conversation {
  messages: Message[];
  /** Tools that the answer may call; default none. */
  tools?: readonly Tool[];
  templateKwargs?: TemplateKwargs;
  /** The adapter's own chat template; null or absent: the base model's. */
  chatTemplate?: string | null;
  /** The template shows the date used in training instead of today's. */
  hasTrainingDate?: boolean;
}

export interface PromptRules {
  tokenizer: Tokenizer;
  /** Lower bound of a text's tokens from its number of bytes (`fewestTokensBy`). */
  fewestTokens(text: string): number;
  /** Number of rows in the embedding table. */
  vocabularySize: number;
}

export interface PromptLimits {
  /** Maximum number of positions for an adapter's virtual tokens, the prompt and the answer together. */
  context: number;
  /** Number of the adapter's positions before the prompt. */
  leading: number;
}

/**
 * The tokens of a prompt, or the reason why it is rejected with its number of tokens; a lower bound if the text was too long to be
 * tokenised.
 */
export type PromptTokens =
  | {
      ids: Int32Array;
      /** Tokens that end a turn of the adapter's own chat template; absent for the base model's. */
      turnEnds?: readonly number[];
      /** The end of the prompt's text. */
      end: string;
    }
  | { refusal: { code: string; message: string }; tokens: number };

/** Length of the end of a prompt's text that is returned. */
const END = 64;

/** Approximate length of a template's text for a message without content. */
const UNITS_OF_MESSAGE = 32;

/** Approximate UTF-16 units of a prompt's text. */
export function unitsOf(prompt: Prompt): number {
  if ('prompt' in prompt) return prompt.prompt.length;
  const units = prompt.messages.reduce(
    (sum, message) => sum + lengthOfMessage(message) + UNITS_OF_MESSAGE,
    0,
  );
  const others = [prompt.templateKwargs, prompt.tools].map((each) =>
    each ? JSON.stringify(each).length : 0,
  );
  return others.reduce((sum, length) => sum + length, units);
}

/** Maximum number of tokens in a prompt: at least one position is left for the answer. */
export const maxPromptTokens = ({ context, leading }: PromptLimits): number =>
  Math.max(0, context - leading - 1);

/**
 * The tokens of a prompt that leaves at least one position for the answer. Otherwise rejects it with `context_length_exceeded`, without
 * tokenising a text that is too long in any case. Also rejects with `empty_prompt` and `invalid_token_id`. Throws the errors of the chat
 * template.
 */
export function promptTokens(
  prompt: Prompt,
  limits: PromptLimits,
  { tokenizer, fewestTokens, vocabularySize }: PromptRules,
  encode: Tokenizer['encode'] = (text, options) => tokenizer.encode(text, options),
): PromptTokens {
  const { context, leading } = limits;
  const most = maxPromptTokens(limits);
  const tooLong = (tokens: number, count: string): PromptTokens => {
    const virtual = leading === 0 ? '' : ` and the adapter ${leading} virtual ones`;
    const message = `the prompt has ${count} tokens${virtual}; this model answers within ${context} for prompt and answer together`;
    return { refusal: { code: 'context_length_exceeded', message }, tokens };
  };
  const { allowSpecialTokens = false } = prompt;
  const isChat = 'messages' in prompt;
  const { text, specialTokens } = isChat
    ? tokenizer.renderChat(prompt.messages, {
        addGenerationPrompt: true,
        allowSpecialTokens,
        kwargs: prompt.templateKwargs ?? {},
        ...(prompt.tools?.length ? { tools: prompt.tools } : {}),
        now: prompt.hasTrainingDate ? TRAINING_DATE : new Date(),
      })
    : { text: prompt.prompt, specialTokens: allowSpecialTokens ? ('all' as const) : ('none' as const) };
  const fewest = fewestTokens(text);
  if (fewest > most) return tooLong(fewest, `at least ${fewest}`);
  const ids = encode(text, { addSpecialTokens: !isChat, specialTokens });
  if (ids.length === 0)
    return {
      refusal: { code: 'empty_prompt', message: 'the prompt has no tokens; send some text' },
      tokens: 0,
    };
  if (ids.length > most) return tooLong(ids.length, `${ids.length}`);
  // The model would interpret larger ids as an adapter's virtual tokens.
  const stray = ids.find((id) => id >= vocabularySize);
  if (stray === undefined) return { ids: Int32Array.from(ids), end: text.slice(-END) };
  const message = `the prompt has ${strayToken(tokenizer, stray, vocabularySize)}; leave it out`;
  return { refusal: { code: 'invalid_token_id', message }, tokens: ids.length };
}

export const paramOf = (prompt: Prompt): 'messages' | 'prompt' =>
  'messages' in prompt ? 'messages' : 'prompt';
