import { TemplateKwargsSchema } from '@graft/peft-core/config';
import { UsageSchema } from '@graft/service';
import { Type } from 'typebox';
import { ChunkFinishReason, ChunkUsage, FinishReason, samplingProperties, unsupported } from './sampling.ts';
import { input, named, namedInput, nullable, Time } from './schema.ts';

const TextPart = input({ type: Type.Literal('text'), text: Type.String() });

/** Clients send a response back unchanged, with all fields that a message of theirs has. */
const EmptyPart = Type.Optional(
  nullable(Type.Array(Type.Unknown(), { maxItems: 0 }), {
    description: 'Accepted only if null or empty.',
  }),
);

const MessageSchema = input({
  role: Type.Enum(['system', 'developer', 'user', 'assistant'], { type: 'string' }),
  content: Type.Union([Type.String(), Type.Array(TextPart, { minItems: 1 })], {
    description: 'Text, or text parts that are concatenated.',
  }),
  name: Type.Optional(Type.String({ maxLength: 64, description: 'Accepted and ignored.' })),
  annotations: EmptyPart,
  audio: EmptyPart,
  function_call: EmptyPart,
  refusal: EmptyPart,
  tool_calls: EmptyPart,
});

/** Each parameter with the values that have no effect. */
export const unsupportedChatParameters = {
  audio: [],
  frequency_penalty: [0],
  function_call: ['none'],
  functions: [],
  logit_bias: [],
  metadata: [],
  modalities: [],
  moderation: [],
  parallel_tool_calls: [true, false],
  prediction: [],
  presence_penalty: [0],
  prompt_cache_options: [],
  reasoning_effort: [],
  response_format: [],
  service_tier: ['auto', 'default'],
  store: [false],
  tool_choice: ['none', 'auto'],
  tools: [],
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
  logprobs: Type.Optional(
    nullable(Type.Boolean(), { description: 'Whether to return the log probability of each output token.' }),
  ),
  top_logprobs: Type.Optional(
    nullable(Type.Integer({ minimum: 0, maximum: 20 }), {
      description: 'Number of most probable tokens to return for each position. Requires `logprobs`.',
    }),
  ),
  chat_template_kwargs: Type.Optional(
    nullable(TemplateKwargsSchema, {
      description:
        'Variables for the chat template, such as {"enable_thinking": false}: JSON of at most 4,096 bytes. Variables that the template gets from elsewhere, such as `messages`, are not allowed. Those that an adapter was trained with (`training.chat_template_kwargs`) apply in addition.',
    }),
  ),
  max_completion_tokens: Type.Optional(nullable(Type.Integer({ minimum: 1, maximum: 131_072 }))),
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
        content: Type.String(),
        refusal: Type.Null(),
      }),
      logprobs: nullable(ChatLogprobs, {
        description: 'Log probabilities of the output tokens. Null unless requested.',
      }),
      finish_reason: FinishReason,
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
      }),
      logprobs: nullable(ChatLogprobs, {
        description: 'Log probabilities of the tokens in this chunk. Null unless requested.',
      }),
      finish_reason: ChunkFinishReason,
    }),
    { description: 'Empty in the chunk that contains `usage`.' },
  ),
  usage: ChunkUsage,
});
