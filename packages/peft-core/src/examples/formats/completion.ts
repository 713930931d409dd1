/** A completion of a prompt, for formats that compare or judge completions: texts, or lists of messages. */
import type { Message, Tool } from '../../chat/message.ts';
import { type ReadConversation, readConversation } from '../../chat/read-messages.ts';
import { isRecord, show } from '../../schema/check-fields.ts';
import type { Sequence } from '../training-example.ts';
import { wholeChats } from './chat.ts';
import { type Line, textFault } from './fields.ts';
import { type LabelledTokens, languageExample } from './language-example.ts';
import { answerLengthOf, leadingSystemPrompt, textsOf } from './messages.ts';
import { joinedTokens } from './prompt-completion.ts';
import { BadExample, type Reading } from './reading.ts';

/** A prompt, and a completion by its field. Chats have the prompt's messages before the completion's. */
export interface Completed {
  prompt: string | Message[];
  /** Undefined: none, or the completions are texts. */
  tools?: Tool[];
}

export const isMessages = (value: unknown): value is Record<string, unknown>[] =>
  Array.isArray(value) && value.every(isRecord);

/** The checked prompt and completions in `fields` of a line, texts or lists of messages; or all faults in one sentence. */
export function readCompletions<Field extends string>(
  line: Line,
  fields: readonly Field[],
): ({ prompt: string | Message[]; tools?: Tool[] } & Record<Field, string | Message[]>) | string {
  const { prompt } = line;
  if (typeof prompt === 'string') {
    const fault = fields.map((field) => textFault(line, field)).find((each) => each !== null);
    if (fault) return fault;
    return Object.fromEntries([['prompt', prompt], ...fields.map((field) => [field, line[field]])]);
  }
  if (!isMessages(prompt)) return `"prompt" must be a string or a list of messages, got ${show(prompt)}`;
  const read: Record<string, unknown> = {};
  // Answers in the prompt are not trained on.
  const before = prompt.map((message) =>
    message.role === 'assistant' ? { ...message, weight: 0 } : message,
  );
  for (const field of fields) {
    const completion = line[field];
    if (!isMessages(completion) || completion.length === 0)
      return `"${field}" must be a list of messages, as "prompt" is, got ${show(completion)}`;
    const { tools, parallel_tool_calls } = line;
    const conversation = readConversation({
      messages: [...before, ...completion],
      tools,
      parallel_tool_calls,
    });
    if (typeof conversation === 'string') return `"${field}" after "prompt": ${conversation}`;
    const { messages } = conversation;
    read.prompt = messages.slice(0, prompt.length);
    read[field] = messages.slice(prompt.length);
    if (conversation.tools) read.tools = conversation.tools;
  }
  return read as ReturnType<typeof readCompletions<Field>>;
}

/** The sequence of a prompt and a completion, with the completion's assistant turns as targets. */
export function completionSequence(
  { prompt, tools }: Completed,
  completion: string | Message[],
  reading: Reading,
): { sequence: Sequence; tokens: number } {
  const whole =
    typeof prompt === 'string'
      ? joinedTokens({ prompt, completion: completion as string }, reading)
      : chatTokens(
          { messages: [...prompt, ...(completion as Message[])], ...(tools ? { tools } : {}) },
          reading,
        );
  const { sequences, tokens } = languageExample(whole, reading, 'a completion has no token after another');
  return { sequence: sequences[0]!, tokens };
}

function chatTokens(conversation: ReadConversation, reading: Reading): LabelledTokens {
  const [whole, ...more] = wholeChats(conversation, reading);
  if (more.length === 0) return whole!;
  throw new BadExample(
    'chat_template_error',
    'has a completion of several assistant messages, and the chat template writes earlier ones otherwise than the last; keep one',
  );
}

/** Text that identifies a prompt. */
export const promptText = ({ prompt, tools }: Completed): string =>
  typeof prompt === 'string'
    ? prompt
    : JSON.stringify([
        ...prompt.map(({ role, content, name = null, tool_calls: calls = null }) => [
          role,
          content,
          name,
          calls,
        ]),
        ...(tools ? [tools] : []),
      ]);

export const completionLength = (completion: string | Message[]): number =>
  typeof completion === 'string' ? completion.length : answerLengthOf(completion);

/** Texts whose special tokens are treated as plain text. */
export const plainTextsOf = (parts: readonly (string | Message[])[]): string[] =>
  parts.flatMap((part) => (typeof part === 'string' ? part : textsOf(part)));

export const systemPromptOf = ({ prompt }: Completed): string | null =>
  typeof prompt === 'string' ? null : leadingSystemPrompt(prompt);
