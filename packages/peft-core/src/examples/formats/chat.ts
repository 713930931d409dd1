import { assistantSpans, type SpanOptions } from '../../chat/assistant-spans.ts';
import { droppedReasoning } from '../../chat/dropped-reasoning.ts';
import { isTrainedOn } from '../../chat/message.ts';
import { type MessagePart, PART_ROLES } from '../../chat/message-parts.ts';
import { type ReadConversation, readConversation } from '../../chat/read-messages.ts';
import { unshownTools } from '../../chat/template-tools.ts';
import { GraftError } from '../../errors.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import { isPreference, promptFault } from './fields.ts';
import type { DatasetFormat } from './format.ts';
import { type LabelledTokens, languageExample, withLabels } from './language-example.ts';
import { answerLengthOf, leadingSystemPrompt, textsOf } from './messages.ts';
import { BadExample, type Reading } from './reading.ts';

export const chat: DatasetFormat<'chat', ReadConversation> = {
  name: 'chat',
  title: 'a chat',
  fields: '{"messages"}',
  called: '"messages"',
  sample:
    '{"messages": [{"role": "user", "content": "Which tyre fits?"}, {"role": "assistant", "content": "A 32."}]}',
  tasks: ['CAUSAL_LM'],
  targets: 'tokens',
  hasRoles: true,
  columns: ['messages', 'tools', 'parallel_tool_calls', 'prompt'],
  matches: (line) => line.messages !== undefined && !isPreference(line),
  read: (line) => promptFault(line) ?? readConversation(line),
  tokenize(example, reading) {
    const whyEmpty = 'the chat template leaves out its assistant messages';
    return reading.separately(wholeChats(example, reading), (each) => {
      if (!each) throw reading.tooLong(`more than ${reading.most()}`);
      return languageExample(each, reading, whyEmpty);
    });
  },
  /** Everything before the first answer that is trained on. */
  prompt({ messages, tools }) {
    const before = messages.slice(0, messages.findIndex(isTrainedOn));
    const asks = before.some(({ role }) => role === 'user') ? before : messages;
    // Without tools the text is that of earlier versions, which decides what is held out.
    const texts = asks.map(({ role, content, name = null, tool_calls: calls }) =>
      calls ? [role, content, name, calls] : [role, content, name],
    );
    return JSON.stringify(tools ? [...texts, tools] : texts);
  },
  answerLength: ({ messages }) => answerLengthOf(messages),
  plainTexts: ({ messages }) => textsOf(messages),
  droppedReasoning({ messages, tools }, { tokenizer, options }, { index, count }) {
    // Each of several examples ends with a turn that is trained on: see `assistantSpans`.
    const turns = messages.flatMap((message, i) => (isTrainedOn(message) ? [i] : []));
    const through = count > 1 ? turns[index]! : messages.length - 1;
    const shown = messages.slice(0, through + 1);
    const conversation = tools ? { messages: shown, tools } : { messages: shown };
    return droppedReasoning(tokenizer, conversation, options.templateKwargs);
  },
  systemPrompt: ({ messages }) => leadingSystemPrompt(messages),
};

/** The tokens of a conversation, one or several times, null where they are far too many: see `assistantSpans`. Throws BadExample. */
export function wholeChats(example: ReadConversation, reading: Reading): (LabelledTokens | null)[] {
  const { overlong, allowSpecialTokens, templateKwargs, trainOn, maskReasoning, roles } = reading.options;
  const { chatTemplateSource: source } = reading.tokenizer;
  const unshown = source === null ? null : unshownTools(source, example);
  if (unshown !== null) throw new BadExample('chat_template_error', unshown);
  const most = overlong === 'truncate' ? Number.POSITIVE_INFINITY : reading.most();
  try {
    const conversations = labelledTokens(reading.tokenizer, example, {
      deadline: reading.deadline,
      most,
      ...(allowSpecialTokens === undefined ? {} : { allowSpecialTokens }),
      ...(templateKwargs === undefined ? {} : { templateKwargs }),
      ...(trainOn === undefined ? {} : { trainOn }),
      ...(maskReasoning === undefined ? {} : { maskReasoning }),
      ...(roles ? { parts: true } : {}),
    });
    if (conversations && (overlong === 'skip' || !conversations.includes(null))) return conversations;
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
  { messages, tools }: ReadConversation,
  options: Omit<SpanOptions, 'tools'> = {},
): (LabelledTokens | null)[] | null {
  const found = assistantSpans(tokenizer, messages, tools ? { ...options, tools } : options);
  if (!found) return null;
  return found.map((each) => {
    if (!each) return null;
    const { ids, spans, parts } = each;
    const whole = withLabels(ids, spans);
    if (parts) whole.roles = rolesOf(whole, parts);
    return whole;
  });
}

/** The role of each token. What the model generates around contents, such as tool calls and the end of a turn, is the assistant's. */
function rolesOf({ labelled }: LabelledTokens, parts: readonly MessagePart[]): Uint8Array {
  const assistant = PART_ROLES.indexOf('assistant');
  const roles = labelled.map((isTarget) => (isTarget ? assistant : PART_ROLES.indexOf('template')));
  for (const { from, to, role } of parts) roles.fill(PART_ROLES.indexOf(role), from, to);
  return roles;
}
