/**
 * Protocol between API and worker for generating text: `POST /internal/generate` on the worker's internal server, with a token that the API
 * has signed for that worker. The request body is a `GenerationRequest`; each line of the response is a `GenerationLine`. Both sides send
 * their protocol version in `protocolHeader`. A side that receives another version, or an unreadable message without this header, logs
 * it; the worker answers 503, and the API asks another worker.
 */

import type { IncomingHttpHeaders } from 'node:http';
import { MessageSchema, ToolSchema } from '@graft/peft-core/chat';
import { type SamplingField, samplingFields } from '@graft/peft-core/config';
import { UsageSchema } from '@graft/wire/token-usage';
import { type Static, type TSchema, Type } from 'typebox';

export const generationPath = '/internal/generate';

/** Raise it with each change that processes of the previous version cannot read. An optional field needs no new version. */
export const generationProtocol = 1;
export const protocolHeader = 'x-graft-protocol';

/** Returns the sender's protocol version. Null: the sender's Graft predates the header. */
export function protocolOf(headers: IncomingHttpHeaders): number | null {
  const value = headers[protocolHeader];
  return typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : null;
}

/** Names the requesting team, so that teams take turns. Workers of earlier versions ignore it. */
export const teamHeader = 'x-graft-team';

/**
 * Comma-separated names of the sampling fields that the request leaves to the model. The body holds OpenAI's defaults for them; workers of
 * earlier versions use those, since they ignore this header.
 */
export const modelDefaultsHeader = 'x-graft-model-defaults';

export function modelDefaultsOf(headers: IncomingHttpHeaders): SamplingField[] {
  const names = String(headers[modelDefaultsHeader] ?? '').split(',');
  return samplingFields.filter((name) => names.includes(name));
}

/**
 * Set to `1` by an API that reads reasoning apart from content. Workers of earlier versions ignore it, and return reasoning as content, as
 * new workers do for an API that does not send it.
 */
export const reasoningHeader = 'x-graft-separate-reasoning';

export const closed = { additionalProperties: false };
export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

export const AdapterRefSchema = Type.Object(
  {
    version_id: Type.String(),
    /** Name in the artifact store. */
    artifact: Type.String({ pattern: '^[0-9a-f]{64}(?:-[0-9A-Za-z]{8}-[0-9a-f]{8})?$' }),
    /** True where its files were found damaged and must be verified before use. */
    suspect: Type.Boolean(),
    /** Digest of the base model's weights when the adapter was trained. */
    base_digest: Type.String(),
  },
  closed,
);

const requestProperties = {
  /** Catalogue id. */
  base_model: Type.String(),
  /** Null: the base model without an adapter. */
  adapter: nullable(AdapterRefSchema),
  /** Null: as many tokens as fit into the context. */
  max_tokens: nullable(Type.Integer({ minimum: 1 })),
  temperature: Type.Number({ minimum: 0 }),
  top_p: Type.Number({ exclusiveMinimum: 0, maximum: 1 }),
  /** The next three are omitted where they have no effect: workers of earlier versions do not know them. */
  top_k: Type.Optional(Type.Integer({ minimum: 1 })),
  min_p: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  repetition_penalty: Type.Optional(Type.Number({ minimum: 0.01, maximum: 100 })),
  stop: Type.Array(Type.String()),
  seed: nullable(Type.Integer()),
  /**
   * Return the log probability of each token, and of this number of the most probable tokens. Omitted if not requested: workers of earlier
   * versions do not know it.
   */
  logprobs: Type.Optional(Type.Integer({ minimum: 0, maximum: 20 })),
  /** Parse special tokens in the text. Omitted if they are plain text: workers of earlier versions do not know it. */
  allow_special_tokens: Type.Optional(Type.Boolean()),
  /** The next three as in OpenAI's API. Omitted where they have no effect: workers of earlier versions do not know them. */
  logit_bias: Type.Optional(Type.Record(Type.String(), Type.Number())),
  frequency_penalty: Type.Optional(Type.Number()),
  presence_penalty: Type.Optional(Type.Number()),
};
/** Variables of the chat template. Omitted if there are none: workers of earlier versions do not know them. */
const chat_template_kwargs = Type.Optional(Type.Record(Type.String(), Type.Unknown()));
/** All but the first two fields are omitted where a message has none: workers of earlier versions do not know them. */
const Message = Type.Pick(
  MessageSchema,
  ['role', 'content', 'name', 'reasoning', 'tool_calls', 'tool_call_id'],
  closed,
);

/** Demands on the answer to a conversation, as in OpenAI's API. Omitted if not requested: workers of earlier versions do not know it. */
const demands = {
  tools: Type.Optional(Type.Array(ToolSchema)),
  tool_choice: Type.Optional(
    Type.Union([
      Type.Literal('auto'),
      Type.Literal('none'),
      Type.Literal('required'),
      Type.Object({ name: Type.String() }, closed),
    ]),
  ),
  parallel_tool_calls: Type.Optional(Type.Boolean()),
  response_format: Type.Optional(
    Type.Union([
      Type.Object({ type: Type.Literal('json_object') }, closed),
      Type.Object(
        {
          type: Type.Literal('json_schema'),
          schema: Type.Union([Type.Boolean(), Type.Record(Type.String(), Type.Unknown())]),
        },
        closed,
      ),
    ]),
  ),
};

/** A conversation or a text to continue. */
export const GenerationRequestSchema = Type.Union([
  Type.Object(
    {
      ...requestProperties,
      ...demands,
      messages: Type.Array(Message, { minItems: 1 }),
      chat_template_kwargs,
    },
    closed,
  ),
  Type.Object({ ...requestProperties, prompt: Type.String() }, closed),
]);
export type GenerationRequest = Static<typeof GenerationRequestSchema> & {
  /** Sent as a header. */
  model_defaults?: readonly SamplingField[];
  /** Sent as a header. */
  separate_reasoning?: boolean;
};

const Likelihood = { token: Type.String(), logprob: Type.Number() };
/** A sampled token, its log probability, and the most probable tokens at its position in descending order. */
export const LikelyTokensSchema = Type.Object({ ...Likelihood, top: Type.Array(Type.Object(Likelihood)) });
export type LikelyTokens = Static<typeof LikelyTokensSchema>;

/** A part of a tool call, as in OpenAI's streams: the id and the name only in the first one of a call, whose arguments are empty. */
export const CallPartSchema = Type.Object({
  index: Type.Integer({ minimum: 0 }),
  id: Type.Optional(Type.String()),
  name: Type.Optional(Type.String()),
  arguments: Type.String(),
});
export type CallPart = Static<typeof CallPartSchema>;

/** Why there is no answer, or only a part of one. */
export const ErrorLineSchema = Type.Object({
  type: Type.Literal('error'),
  /** 503: another worker may answer. Below 500: the user's fault, with its full message. */
  status: Type.Integer(),
  code: Type.String(),
  message: Type.String(),
  param: nullable(Type.String()),
  /** Tokens read and written so far. Workers of earlier versions omit them. */
  prompt_tokens: Type.Optional(Type.Integer()),
  completion_tokens: Type.Optional(Type.Integer()),
});
export type ErrorLine = Static<typeof ErrorLineSchema>;

/** The last line is `done` or `error`. */
export const GenerationLineSchema = Type.Union([
  Type.Object({
    type: Type.Literal('token'),
    text: Type.String(),
    /** Only for an API that reads it apart. */
    reasoning: Type.Optional(Type.String()),
    /** Only for requests with tools. */
    calls: Type.Optional(Type.Array(CallPartSchema)),
    /** Present if requested. A token that completes no character has no text, and text that was held back has no token. */
    likely: Type.Optional(LikelyTokensSchema),
    /** Counts so far, as in `usage`, for an answer that is cut off. Workers of earlier versions omit them. */
    prompt_tokens: Type.Optional(Type.Integer()),
    completion_tokens: Type.Optional(Type.Integer()),
  }),
  Type.Object({
    type: Type.Literal('done'),
    finish_reason: Type.Enum(['stop', 'length', 'tool_calls']),
    usage: UsageSchema,
  }),
  ErrorLineSchema,
]);
export type GenerationLine = Static<typeof GenerationLineSchema>;
export type GenerationEvent = Exclude<GenerationLine, { type: 'error' }>;
