import { assistantSpans, type SpanOptions } from '../../chat/assistant-spans.ts';
import { isTrainedOn, lengthOfMessage, type Message } from '../../chat/message.ts';
import { readMessages } from '../../chat/read-messages.ts';
import { GraftError } from '../../errors.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import type { DatasetFormat } from './format.ts';
import { type LabelledTokens, languageExample, withLabels } from './language-example.ts';
import { BadExample, type Reading } from './reading.ts';

interface Chat {
  messages: Message[];
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
  tokenize: (example, reading) => [
    languageExample(
      wholeChat(example, reading),
      reading,
      'the chat template leaves out its assistant messages',
    ),
  ],
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

function wholeChat(example: Chat, reading: Reading): LabelledTokens {
  const { allowSpecialTokens = false, templateKwargs = {}, overlong } = reading.options;
  const most = overlong === 'truncate' ? Number.POSITIVE_INFINITY : reading.most();
  const options = { allowSpecialTokens, templateKwargs, deadline: reading.deadline, most };
  try {
    const whole = labelledTokens(reading.tokenizer, example, options);
    if (whole) return whole;
  } catch (error) {
    if (error instanceof GraftError && error.code === 'chat_template_error')
      throw new BadExample(error.code, error.message);
    throw error;
  }
  throw reading.tooLong(`more than ${reading.most()}`);
}

/** A conversation's tokens; the targets are its assistant turns. Returns null, and throws, as `assistantSpans` does. */
export function labelledTokens(
  tokenizer: Tokenizer,
  { messages }: Chat,
  options: SpanOptions = {},
): LabelledTokens | null {
  const found = assistantSpans(tokenizer, messages, options);
  const weights = messages.filter(isTrainedOn).map(({ weight = 1 }) => weight);
  return found && withLabels(found.ids, found.spans, weights);
}
