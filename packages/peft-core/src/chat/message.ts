import { type Static, Type } from 'typebox';

/** The JSON text of a value that JavaScript's differs from, as `schema/exact-json.ts` describes. Templates receive what it says. */
const exact_json = Type.Optional(Type.String());

/** A call of a tool by the assistant. Templates receive `arguments` as an object; OpenAI's API has it as JSON text. */
export const ToolCallSchema = Type.Object({
  id: Type.Optional(Type.String()),
  type: Type.Literal('function'),
  function: Type.Object({
    name: Type.String(),
    arguments: Type.Record(Type.String(), Type.Unknown()),
    /** The text of the arguments. */
    exact_json,
  }),
});
export type ToolCall = Static<typeof ToolCallSchema>;

/** A function that the model may call. Templates receive it unchanged, with fields that are not listed here. */
export const ToolSchema = Type.Object({
  type: Type.Literal('function'),
  /** The text of the tool. */
  exact_json,
  function: Type.Object({
    name: Type.String(),
    description: Type.Optional(Type.String()),
    parameters: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  }),
});
export type Tool = Static<typeof ToolSchema>;

/** A message of a conversation: in training data, in input of a template, and in a request for an answer. */
export const MessageSchema = Type.Object({
  /** The author: `system`, `developer`, `user`, `assistant` or `tool`. A template may support others. */
  role: Type.String(),
  /** Null for an assistant message that only calls tools. */
  content: Type.Union([Type.String(), Type.Null()]),
  /** Name of the author; of the tool for a tool message. Few templates use it. */
  name: Type.Optional(Type.String()),
  /** Reasoning of an assistant before its content. Templates receive it by each name in use: `REASONING_FIELDS`. */
  reasoning: Type.Optional(Type.String()),
  tool_calls: Type.Optional(Type.Array(ToolCallSchema)),
  /** For a tool message: the id of the call that it answers. */
  tool_call_id: Type.Optional(Type.String()),
  /** For an assistant message in training data: factor of its tokens in the loss, from 0 to 10; default 1. Templates do not receive it. */
  weight: Type.Optional(Type.Number({ minimum: 0, maximum: 10 })),
});
export type Message = Static<typeof MessageSchema>;

export interface Conversation {
  messages: readonly Message[];
  /** Default: none, as in `tools=None` of transformers. */
  tools?: readonly Tool[];
}

/** Names of a message's reasoning in data and in templates. */
export const REASONING_FIELDS = ['reasoning_content', 'thinking', 'reasoning'] as const;

/** Returns true if a message of training data counts towards the loss. */
export const isTrainedOn = ({ role, weight = 1 }: Message): boolean => role === 'assistant' && weight > 0;

/** Approximate number of characters that a message adds to a conversation. */
export function lengthOfMessage({ content, reasoning, tool_calls }: Message): number {
  const calls = tool_calls ? JSON.stringify(tool_calls).length : 0;
  return (content?.length ?? 0) + (reasoning?.length ?? 0) + calls;
}
