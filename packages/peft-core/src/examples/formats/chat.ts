import { assistantSpans, type SpanOptions } from '../../chat/assistant-spans.ts';
import { isTrainedOn, lengthOfMessage, type Message, type Tool } from '../../chat/message.ts';
import { readMessages } from '../../chat/read-messages.ts';
import { GraftError } from '../../errors.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import type { DatasetFormat } from './format.ts';
import { type LabelledTokens, languageExample, withLabels } from './language-example.ts';
import { BadExample, type Reading } from './reading.ts';

interface Chat {
  messages: Message[];
  /** Functions that the model may call. */
  tools?: readonly Tool[];
}

export const chat: DatasetFormat<'chat', Chat> = {
  name: 'chat',
  title: 'a chat',
  fields: '{"messages"}',
  called: '"messages"',
  sample:
    '{"messages": [{"role": "user", "content": "Which tyre fits?"}, {"role": "assistant", "content": "A 32."}]}',
  tasks: ['CAUSAL_LM'],
  targets: 'tokens',
  matches: ({ messages }) => messages !== undefined,
  read({ messages }) {
    const checked = readMessages(messages);
    return typeof checked === 'string' ? checked : { messages: checked };
  },
  tokenize(example, reading) {
    const conversations = wholeChats(example, reading);
    reading.isSplit = conversations.length > 1;
    const whyEmpty = 'the chat template leaves out its assistant messages';
    return conversations.map((each) => languageExample(each, reading, whyEmpty));
  },
  /** Everything before the first answer that is trained on. */
  prompt({ messages }) {
    const before = messages.slice(0, messages.findIndex(isTrainedOn));
    const asks = before.some(({ role }) => role === 'user') ? before : messages;
    return JSON.stringify(asks.map(({ role, content, name = null }) => [role, content, name]));
  },
  answerLength: ({ messages }) =>
    messages.reduce((sum, message) => sum + (isTrainedOn(message) ? lengthOfMessage(message) : 0), 0),
  plainTexts: ({ messages }) => messages.flatMap(({ content }) => content ?? []),
  systemPrompt({ messages: [first] }) {
    return first?.role === 'system' ? first.content : null;
  },
};

function wholeChats(example: Chat, reading: Reading): LabelledTokens[] {
  const { overlong, allowSpecialTokens, templateKwargs, trainOn, maskReasoning } = reading.options;
  const most = overlong === 'truncate' ? Number.POSITIVE_INFINITY : reading.most();
  try {
    const conversations = labelledTokens(reading.tokenizer, example, {
      deadline: reading.deadline,
      most,
      ...(allowSpecialTokens === undefined ? {} : { allowSpecialTokens }),
      ...(templateKwargs === undefined ? {} : { templateKwargs }),
      ...(trainOn === undefined ? {} : { trainOn }),
      ...(maskReasoning === undefined ? {} : { maskReasoning }),
    });
    if (conversations) return conversations;
  } catch (error) {
    if (error instanceof GraftError && error.code === 'chat_template_error')
      throw new BadExample(error.code, error.message);
    throw error;
  }
  throw reading.tooLong(`more than ${reading.most()}`);
}

/** A conversation's tokens, one or several times; the targets are its assistant turns. Returns null, and throws, as `assistantSpans` does. */
export function labelledTokens(
  tokenizer: Tokenizer,
  { messages, tools }: Chat,
  options: Omit<SpanOptions, 'tools'> = {},
): LabelledTokens[] | null {
  const found = assistantSpans(tokenizer, messages, tools ? { ...options, tools } : options);
  return found?.map(({ ids, spans }) => withLabels(ids, spans)) ?? null;
}
