import { type Message, messageOf, readCalled, readReasoning, UnansweredCalls } from '@graft/peft-core/chat';
import type { CreateChatCompletionSchema } from '@graft/wire/chat-completion';
import type { Static } from 'typebox';
import { ApiError } from '../api-error.ts';

type RequestMessage = Static<typeof CreateChatCompletionSchema>['messages'][number];
type RequestCall = NonNullable<RequestMessage['tool_calls']>[number];

/**
 * The messages of a request, in the worker's format, as training reads those of a line. Throws `invalid_value` for content that is missing,
 * a call whose arguments are not a JSON object, and a tool message that answers no call. Unlike in training data, calls and tool messages
 * need ids, as in OpenAI's API, no assistant message is needed, and calls may be of tools that the request does not declare.
 */
export function readConversation(messages: readonly RequestMessage[]): Message[] {
  const unanswered = new UnansweredCalls();
  return messages.map((message, i) => {
    const at = `messages[${i}]`;
    const { role, tool_call_id: id = null, name = null } = message;
    const toolCalls = message.tool_calls ?? [];
    const isAssistant = role === 'assistant';
    if (role === 'tool') {
      refuseIf(!id, `${at}.tool_call_id`, 'must be the id of the call that the message answers');
      const fault = unanswered.answer(id);
      if (fault) refuse(`${at}.tool_call_id`, fault);
    } else {
      refuseIf(id !== null, `${at}.tool_call_id`, 'is only for messages with the role "tool"');
      unanswered.follow(toolCalls);
    }
    refuseIf(
      toolCalls.length > 0 && !isAssistant,
      `${at}.tool_calls`,
      'is only for messages with the role "assistant"',
    );
    const content = textOf(message.content);
    refuseIf(
      content === null && !(isAssistant && toolCalls.length > 0),
      `${at}.content`,
      'must be a text; only an assistant message with tool calls may have none',
    );
    const reasoning = readReasoning(message);
    if (reasoning !== null && typeof reasoning !== 'string')
      refuse(`${at}.${reasoning.field}`, reasoning.fault);
    const calls = toolCalls.map((call, j) => readCall(call, `${at}.tool_calls[${j}]`));
    return messageOf(role, content, { name, reasoning, tool_calls: calls, tool_call_id: id });
  });
}

function readCall({ id, function: { name, arguments: text } }: RequestCall, at: string) {
  const called = readCalled(name, text);
  if (typeof called === 'string') refuse(`${at}.function.arguments`, called);
  return { id, type: 'function' as const, function: called };
}

function textOf(content: RequestMessage['content']): string | null {
  if (typeof content === 'string') return content;
  return content ? content.map(({ text }) => text).join('') : null;
}

function refuseIf(isFault: boolean, param: string, why: string): void {
  if (isFault) refuse(param, why);
}

function refuse(param: string, why: string): never {
  throw new ApiError('invalid_value', `'${param}' ${why}.`, { param });
}
