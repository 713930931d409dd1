import { LEARNT_DATE } from '../../chat/assistant-spans.ts';
import type { Message } from '../../chat/message.ts';
import type { TemplateKwargs } from '../../schema/template-kwargs.ts';
import { strayToken, type Tokenizer } from '../../text/index.ts';

/** What a request has the model read: a conversation, or a text that it continues. */
export type Prompt = (Conversation | { prompt: string }) & {
  /** Special tokens in messages and prompt are tokens, not plain text. Default false. */
  allowSpecialTokens?: boolean;
};

interface Conversation {
  messages: Message[];
  /** Other variables of the chat template. */
  templateKwargs?: TemplateKwargs;
  /** The template shows the date of training, and not today's. */
  hasLearntDate?: boolean;
}

/** How a model's prompts become tokens. */
export interface PromptRules {
  tokenizer: Tokenizer;
  /** Of a text, by counting its bytes (`fewestTokensBy`). */
  fewestTokens(text: string): number;
  /** Rows of the embedding table. */
  vocabularySize: number;
}

/** What a model can answer. */
export interface PromptLimits {
  /** Positions of an adapter's virtual tokens, the prompt and the answer together. */
  context: number;
  /** Positions of the adapter before the prompt. */
  leading: number;
}

/**
 * The tokens of a prompt, or why it is refused, and how many tokens were read: where the text is so long that it was not tokenised, the
 * fewest that it can have.
 */
export type PromptTokens =
  | { ids: Int32Array }
  | { refusal: { code: string; message: string }; tokens: number };

/** What a template makes of a message without content, about. */
const UNITS_OF_MESSAGE = 32;

/** UTF-16 units of a prompt's text, about. */
export function unitsOf(prompt: Prompt): number {
  if ('prompt' in prompt) return prompt.prompt.length;
  const units = prompt.messages.reduce((sum, { content }) => sum + content.length + UNITS_OF_MESSAGE, 0);
  return units + (prompt.templateKwargs ? JSON.stringify(prompt.templateKwargs).length : 0);
}

/** Tokens that a prompt may have: one position at least is the answer's. */
export const mostTokens = ({ context, leading }: PromptLimits): number => Math.max(0, context - leading - 1);

/**
 * The tokens of a prompt that leaves at least one position for the answer, as `context_length_exceeded` says otherwise; a text that is too
 * long whatever its tokens are is not tokenised. Refuses with `empty_prompt` and `invalid_token_id`. Throws what the chat template throws.
 */
export function promptTokens(
  prompt: Prompt,
  limits: PromptLimits,
  { tokenizer, fewestTokens, vocabularySize }: PromptRules,
  encode: Tokenizer['encode'] = (text, options) => tokenizer.encode(text, options),
): PromptTokens {
  const { context, leading } = limits;
  const most = mostTokens(limits);
  const tooLong = (tokens: number, count: string): PromptTokens => {
    const virtual = leading === 0 ? '' : ` and the adapter ${leading} virtual ones`;
    const message = `the prompt has ${count} tokens${virtual}; this model answers within ${context} for prompt and answer together`;
    return { refusal: { code: 'context_length_exceeded', message }, tokens };
  };
  const { allowSpecialTokens = false } = prompt;
  const isChat = 'messages' in prompt;
  const { text, specialTokens } = isChat
    ? tokenizer.renderChat(prompt.messages, {
        ...{ addGenerationPrompt: true, allowSpecialTokens },
        kwargs: prompt.templateKwargs ?? {},
        now: prompt.hasLearntDate ? LEARNT_DATE : new Date(),
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
  // The model would read larger ids as an adapter's virtual tokens.
  const stray = ids.find((id) => id >= vocabularySize);
  if (stray === undefined) return { ids: Int32Array.from(ids) };
  const message = `the prompt has ${strayToken(tokenizer, stray, vocabularySize)}; leave it out`;
  return { refusal: { code: 'invalid_token_id', message }, tokens: ids.length };
}

/** The field of a request that holds its prompt. */
export const paramOf = (prompt: Prompt): 'messages' | 'prompt' =>
  'messages' in prompt ? 'messages' : 'prompt';
