import type { Message } from '@graft/peft-core/chat';
import { jsonExtent, jsonFault } from '@graft/peft-core/config';
import type { Static } from 'typebox';
import { ApiError } from '../api-error.ts';
import type { CreateChatCompletionSchema } from '../schemas/chat-completion.ts';

type RequestMessage = Static<typeof CreateChatCompletionSchema>['messages'][number];
type RequestCall = NonNullable<RequestMessage['tool_calls']>[number];

/** Limits of a call's arguments: parsing deep or large ones takes long. */
const MAX_DEPTH = 32;
const MAX_VALUES = 10_000;

/**
 * The messages of a request, in the worker's format. Throws `invalid_value` for content that is missing, a call whose arguments are not a JSON
 * object, and a tool message that answers no call.
 */
export function readConversation(messages: readonly RequestMessage[]): Message[] {
  /** Calls of the last assistant message. */
  let calls = new Set<string>();
  return messages.map((message, i) => {
    const at = `messages[${i}]`;
    const toolCalls = message.tool_calls ?? [];
    if (message.role === 'tool') checkAnswer(message, calls, at);
    else {
      refuseIf(
        (message.tool_call_id ?? null) !== null,
        `${at}.tool_call_id`,
        'is only for messages with the role "tool"',
      );
      calls = new Set(toolCalls.map(({ id }) => id));
    }
    const isAssistant = message.role === 'assistant';
    refuseIf(
      toolCalls.length > 0 && !isAssistant,
      `${at}.tool_calls`,
      'is only for messages with the role "assistant"',
    );
    const content = textOf(message.content);
    const needsNoContent = isAssistant && toolCalls.length > 0;
    refuseIf(
      content === null && !needsNoContent,
      `${at}.content`,
      'must be a text; only an assistant message with tool calls may have none',
    );
    const reasoning = message.reasoning_content ?? message.reasoning ?? '';
    refuseIf(
      reasoning !== '' && !isAssistant,
      `${at}.reasoning_content`,
      'is only for messages with the role "assistant"',
    );
    return {
      // Chat templates of open models only know the older name, `system`.
      role: message.role === 'developer' ? 'system' : message.role,
      content,
      ...(reasoning !== '' ? { reasoning } : {}),
      ...(toolCalls.length > 0
        ? { tool_calls: toolCalls.map((call, j) => readCall(call, `${at}.tool_calls[${j}]`)) }
        : {}),
      ...(message.role === 'tool' ? { tool_call_id: message.tool_call_id! } : {}),
      ...(message.role === 'tool' && message.name ? { name: message.name } : {}),
    };
  });
}

function checkAnswer({ tool_call_id }: RequestMessage, calls: ReadonlySet<string>, at: string): void {
  refuseIf(!tool_call_id, `${at}.tool_call_id`, 'must be the id of the call that the message answers');
  refuseIf(
    !calls.has(tool_call_id!),
    `${at}.tool_call_id`,
    `is ${JSON.stringify(tool_call_id)}, which is no call of the assistant message before; add that message with its 'tool_calls'`,
  );
}

function readCall({ id, function: called }: RequestCall, at: string) {
  return {
    id,
    type: 'function' as const,
    function: { name: called.name, arguments: readArguments(called.arguments, at) },
  };
}

function readArguments(text: string, at: string): Record<string, unknown> {
  const param = `${at}.function.arguments`;
  if (text.trim() === '') return {};
  const { depth, values } = jsonExtent(text);
  refuseIf(depth > MAX_DEPTH, param, `nests deeper than ${MAX_DEPTH} levels`);
  refuseIf(values > MAX_VALUES, param, `holds more than ${MAX_VALUES} values`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    refuseIf(true, param, `is not JSON: ${jsonFault(text)}`);
  }
  refuseIf(
    typeof value !== 'object' || value === null || Array.isArray(value),
    param,
    'must be the JSON text of an object',
  );
  refuseIf(/"__proto__"/.test(text), param, 'must not have the name "__proto__"');
  return value as Record<string, unknown>;
}

function textOf(content: RequestMessage['content']): string | null {
  if (typeof content === 'string') return content;
  return content ? content.map(({ text }) => text).join('') : null;
}

function refuseIf(isFault: boolean, param: string, why: string): void {
  if (isFault) throw new ApiError('invalid_value', `'${param}' ${why}.`, { param });
}
