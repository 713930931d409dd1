import { TemplateKwargsSchema } from '@graft/peft-core/config';
import { Type } from 'typebox';
import { ResponseFormatSchema, ToolChoiceSchema, ToolParameterSchema } from './chat-tools.ts';
import {
  ChatChunkFinishReason,
  ChatFinishReason,
  ChunkUsage,
  samplingProperties,
  unsupported,
} from './sampling.ts';
import { input, MetadataSchema, named, namedInput, nullable, oneOf, optional, Time } from './schema.ts';
import { UsageSchema } from './token-usage.ts';

const TextPart = input({
  type: Type.Literal('text', { description: 'images, audio and files are not read' }),
  text: Type.String(),
});

/** Clients send a response back unchanged, with all fields that a message of theirs has. */
const EmptyPart = Type.Optional(
  nullable(Type.Array(Type.Unknown(), { maxItems: 0 }), { description: 'Accepted only if null or empty.' }),
);

const Reasoning = Type.Optional(
  nullable(Type.String(), {
    description: 'What an assistant wrote before its content, of which the template may use a part.',
  }),
);

const CallInMessage = input({
  id: Type.String({ maxLength: 256 }),
  type: Type.Literal('function'),
  function: input({
    name: Type.String({ maxLength: 256 }),
    arguments: Type.String({ description: 'JSON text of an object.' }),
    parsed_arguments: Type.Optional(Type.Unknown({ description: 'Accepted and ignored.' })),
  }),
  index: Type.Optional(Type.Integer({ description: 'Accepted and ignored.' })),
});

const MessageSchema = input({
  role: oneOf(['system', 'developer', 'user', 'assistant', 'tool']),
  ...optional({
    content: nullable(Type.Union([Type.String(), Type.Array(TextPart, { minItems: 1 })]), {
      description:
        'Text, or text parts that are concatenated. Null or absent only for an assistant message with `tool_calls`.',
    }),
    name: nullable(
      Type.String({
        maxLength: 64,
        description: 'Name of the author; of the tool for a tool message. The chat template may use it.',
      }),
    ),
    tool_calls: nullable(Type.Array(CallInMessage, { maxItems: 128 }), {
      description: 'Tool calls of an assistant message.',
    }),
    tool_call_id: nullable(Type.String({ maxLength: 256 }), {
      description: 'Id of the call that a tool message answers.',
    }),
  }),
  reasoning_content: Reasoning,
  reasoning: Reasoning,
  thinking: Reasoning,
  parsed: Type.Optional(Type.Unknown({ description: 'Accepted and ignored.' })),
  annotations: EmptyPart,
  audio: EmptyPart,
  function_call: EmptyPart,
  refusal: EmptyPart,
});

/** Each parameter with the values that have no effect. */
export const unsupportedChatParameters = {
  audio: [],
  function_call: ['none'],
  functions: [],
  modalities: [],
  moderation: [],
  prediction: [],
  prompt_cache_options: [],
  reasoning_effort: [],
  service_tier: ['auto', 'default'],
  verbosity: ['medium'],
  web_search_options: [],
} as const;

const Likelihood = {
  token: Type.String(),
  logprob: Type.Number({ description: 'Natural logarithm of the token’s probability, at temperature 1.' }),
  bytes: nullable(Type.Array(Type.Integer()), {
    description: 'UTF-8 bytes of the token’s text. Null if the token is only part of a character.',
  }),
};
const ChatLogprobs = Type.Object({
  content: Type.Array(
    Type.Object({
      ...Likelihood,
      top_logprobs: Type.Array(Type.Object(Likelihood), {
        description: 'Most probable tokens at this position, the most probable first.',
      }),
    }),
  ),
  refusal: Type.Null(),
});

const Unused = Type.Optional(nullable(Type.String(), { description: 'Accepted and ignored.' }));

export const CreateChatCompletionSchema = namedInput('CreateChatCompletion', {
  ...samplingProperties,
  messages: Type.Array(MessageSchema, { minItems: 1, maxItems: 4096 }),
  prompt_cache_key: Unused,
  prompt_cache_retention: Unused,
  safety_identifier: Unused,
  ...optional({
    logprobs: nullable(Type.Boolean(), {
      description: 'Whether to return the log probability of each output token.',
    }),
    top_logprobs: nullable(Type.Integer({ minimum: 0, maximum: 20 }), {
      description: 'Number of most probable tokens to return for each position. Requires `logprobs`.',
    }),
    chat_template_kwargs: nullable(TemplateKwargsSchema, {
      description:
        'Variables for the chat template, such as {"enable_thinking": false}: JSON of at most 4,096 bytes. Variables that the template gets from elsewhere, such as `messages`, are not allowed. Those that an adapter was trained with (`training.chat_template_kwargs`) apply in addition.',
    }),
    tools: nullable(Type.Array(ToolParameterSchema, { maxItems: 128 }), {
      description: 'Functions that the answer may call. The chat template of the model must have tool calls.',
    }),
    tool_choice: nullable(ToolChoiceSchema),
    parallel_tool_calls: nullable(Type.Boolean(), {
      description:
        'Whether an answer may have several calls. With `false` it ends after the first. Default: true.',
    }),
    response_format: nullable(ResponseFormatSchema),
    metadata: nullable(MetadataSchema, { description: 'Labels of the request: checked, and not kept.' }),
    store: nullable(Type.Boolean(), {
      description: 'Accepted with either value: Graft keeps no chats, so none can be listed later.',
    }),
    max_completion_tokens: nullable(Type.Integer({ minimum: 1, maximum: 131_072 })),
  }),
  ...unsupported(unsupportedChatParameters),
});

export const ChatCompletionSchema = named('ChatCompletion', {
  id: Type.String(),
  object: Type.Literal('chat.completion'),
  created: Time,
  model: Type.String(),
  choices: Type.Array(
    Type.Object({
      index: Type.Integer(),
      message: Type.Object({
        role: Type.Literal('assistant'),
        content: nullable(Type.String(), { description: 'Null for an answer that only calls tools.' }),
        refusal: Type.Null(),
        ...optional({
          reasoning_content: Type.String({
            description: 'What the model wrote before its content. Absent if there is none.',
          }),
          tool_calls: Type.Array(
            Type.Object({
              id: Type.String(),
              type: Type.Literal('function'),
              function: Type.Object({
                name: Type.String(),
                arguments: Type.String({
                  description: 'JSON text of an object, unless the answer was cut off.',
                }),
              }),
            }),
            { description: 'Absent if the answer calls no tool.' },
          ),
        }),
      }),
      logprobs: nullable(ChatLogprobs, {
        description: 'Log probabilities of the output tokens. Null unless requested.',
      }),
      finish_reason: ChatFinishReason,
    }),
  ),
  usage: UsageSchema,
});

/** A chunk of a streamed response. */
export const ChatCompletionChunkSchema = named('ChatCompletionChunk', {
  id: Type.String(),
  object: Type.Literal('chat.completion.chunk'),
  created: Time,
  model: Type.String(),
  choices: Type.Array(
    Type.Object({
      index: Type.Integer(),
      delta: Type.Object({
        role: Type.Optional(Type.Literal('assistant')),
        content: Type.Optional(Type.String()),
        refusal: Type.Optional(Type.Null()),
        reasoning_content: Type.Optional(Type.String()),
        tool_calls: Type.Optional(
          Type.Array(
            Type.Object({
              index: Type.Integer({ description: 'Number of the call in the answer.' }),
              id: Type.Optional(Type.String({ description: 'In the first part of a call.' })),
              type: Type.Optional(Type.Literal('function')),
              function: Type.Object({
                name: Type.Optional(Type.String({ description: 'In the first part of a call.' })),
                arguments: Type.String({ description: 'The next part of the arguments.' }),
              }),
            }),
          ),
        ),
      }),
      logprobs: nullable(ChatLogprobs, {
        description: 'Log probabilities of the tokens in this chunk. Null unless requested.',
      }),
      finish_reason: ChatChunkFinishReason,
    }),
    { description: 'Empty in the chunk that contains `usage`.' },
  ),
  usage: ChunkUsage,
});
