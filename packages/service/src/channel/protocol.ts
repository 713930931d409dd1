/**
 * What API and worker say to each other when text is generated: `POST /internal/generate` on the worker's internal
 * server, with a token that the API has signed for that worker, a `GenerationRequest` as its body and one `GenerationLine` per line as its answer. Both
 * sides send the version of the protocol that they speak in `protocolHeader`. A side that gets another version, or a message
 * that it cannot read from a Graft without this header, logs it; the worker answers 503, and the API asks another worker.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { MessageSchema } from '@graft/peft-core/chat';
import { type SamplingField, samplingFields } from '@graft/peft-core/config';
import { type Static, type TSchema, Type } from 'typebox';

export const generationPath = '/internal/generate';

/** Raise it with each change that a process with the number before cannot read. An optional field needs no other number. */
export const generationProtocol = 1;
export const protocolHeader = 'x-graft-protocol';

/** The version that the sender speaks. Null: its Graft is older than that header. */
export function protocolOf(headers: IncomingHttpHeaders): number | null {
  const value = headers[protocolHeader];
  return typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : null;
}

/** Names the team that asks, so that teams take turns. A worker of an earlier version passes over it. */
export const teamHeader = 'x-graft-team';

/**
 * Names, separated by commas, the sampling fields that the request leaves to the model. The body holds OpenAI's defaults of them, and a worker of
 * an earlier version, which passes over this header, takes these.
 */
export const modelDefaultsHeader = 'x-graft-model-defaults';

export function modelDefaultsOf(headers: IncomingHttpHeaders): SamplingField[] {
  const names = String(headers[modelDefaultsHeader] ?? '').split(',');
  return samplingFields.filter((name) => names.includes(name));
}

const closed = { additionalProperties: false };
const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

const requestProperties = {
  /** Catalogue id. */
  base_model: Type.String(),
  /** Null: the plain base model. */
  adapter: nullable(
    Type.Object(
      {
        version_id: Type.String(),
        /** Name in the artifact store. */
        artifact: Type.String({ pattern: '^[0-9a-f]{64}(?:-[0-9A-Za-z]{8}-[0-9a-f]{8})?$' }),
        /** Whether its files were found damaged, and are to be read through before they are used. */
        suspect: Type.Boolean(),
        /** Of the base model's weights when the adapter was trained. */
        base_digest: Type.String(),
      },
      closed,
    ),
  ),
  /** Null: as many as fit in the context. */
  max_tokens: nullable(Type.Integer({ minimum: 1 })),
  temperature: Type.Number({ minimum: 0 }),
  top_p: Type.Number({ exclusiveMinimum: 0, maximum: 1 }),
  /** These three are left out where they change nothing: a worker of an earlier version does not know them. */
  top_k: Type.Optional(Type.Integer({ minimum: 1 })),
  min_p: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
  repetition_penalty: Type.Optional(Type.Number({ minimum: 0.01, maximum: 100 })),
  stop: Type.Array(Type.String()),
  seed: nullable(Type.Integer()),
  /**
   * Tell each token's probability, and so many of the most probable ones. Left out where none is wanted: a worker of an earlier version does
   * not know it.
   */
  logprobs: Type.Optional(Type.Integer({ minimum: 0, maximum: 20 })),
  /** Special tokens in the text are tokens. Left out where they are plain text: a worker of an earlier version does not know it. */
  allow_special_tokens: Type.Optional(Type.Boolean()),
};
/** Variables of the chat template. Left out where there are none: a worker of an earlier version does not know them. */
const chat_template_kwargs = Type.Optional(Type.Record(Type.String(), Type.Unknown()));
const Message = Type.Pick(MessageSchema, ['role', 'content'], closed);

/** A conversation or a text to go on with. */
export const GenerationRequestSchema = Type.Union([
  Type.Object(
    { ...requestProperties, messages: Type.Array(Message, { minItems: 1 }), chat_template_kwargs },
    closed,
  ),
  Type.Object({ ...requestProperties, prompt: Type.String() }, closed),
]);
export type GenerationRequest = Static<typeof GenerationRequestSchema> & {
  /** Sent as a header. */
  model_defaults?: readonly SamplingField[];
};

/** Tokens, as in OpenAI's answers. */
export const UsageSchema = Type.Object({
  prompt_tokens: Type.Integer(),
  completion_tokens: Type.Integer(),
  total_tokens: Type.Integer(),
  prompt_tokens_details: Type.Optional(
    Type.Object({
      cached_tokens: Type.Integer({
        description: 'Of the prompt: they were known from an earlier request, and were not computed again.',
      }),
    }),
  ),
});
export type Usage = Static<typeof UsageSchema>;

const Likelihood = { token: Type.String(), logprob: Type.Number() };
/** A token that was taken, its probability's natural logarithm, and the most probable ones in its place, in order. */
export const LikelyTokensSchema = Type.Object({ ...Likelihood, top: Type.Array(Type.Object(Likelihood)) });
export type LikelyTokens = Static<typeof LikelyTokensSchema>;

/** The last line is `done` or `error`. */
export const GenerationLineSchema = Type.Union([
  Type.Object({
    type: Type.Literal('token'),
    text: Type.String(),
    /** Where the request asks for it. A token that completes no character has no text, and text that was held back no token. */
    likely: Type.Optional(LikelyTokensSchema),
    /** So far, as in `usage`: what is counted of an answer that is cut off. Workers of an earlier version do not say it. */
    prompt_tokens: Type.Optional(Type.Integer()),
    completion_tokens: Type.Optional(Type.Integer()),
  }),
  Type.Object({
    type: Type.Literal('done'),
    finish_reason: Type.Enum(['stop', 'length']),
    usage: UsageSchema,
  }),
  Type.Object({
    type: Type.Literal('error'),
    /** 503: another worker may answer. Below 500: the user's fault, told in full. */
    status: Type.Integer(),
    code: Type.String(),
    message: Type.String(),
    param: nullable(Type.String()),
    /** Read and written until then. Workers of an earlier version leave them out. */
    prompt_tokens: Type.Optional(Type.Integer()),
    completion_tokens: Type.Optional(Type.Integer()),
  }),
]);
export type GenerationLine = Static<typeof GenerationLineSchema>;
export type GenerationEvent = Exclude<GenerationLine, { type: 'error' }>;
