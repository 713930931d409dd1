/** Messages between the worker and its generator, a child process that answers requests with a base model and its adapters. */
import type { GenerateRequest, ScoredInput, ServingLimits } from '@graft/peft-core';
import {
  anyNumber,
  closed,
  count,
  large,
  type MessageOf,
  messages,
  nullable,
} from '@graft/peft-core/reports';
import { maxInputs } from '@graft/wire/lists';
import { type Static, Type } from 'typebox';
import { checkerOf, commonCalls, commonEvents, FaultSchema } from '../processes/message-schemas.ts';

const path = Type.String({ maxLength: 4096 });
const options = Type.Object({}, { additionalProperties: true });
/** The model of a request, as plain data. All paths are absolute. */
const place = {
  /** Catalogue id of the base model, and its folder or file. */
  baseModel: Type.String(),
  basePath: path,
  /** Folder where the digest of the base model is cached. */
  digestCache: path,
  /** Folder of the adapter's files; null for the plain base model. */
  adapterDir: nullable(path),
};
const GeneratorRequest = Type.Object(
  {
    ...place,
    options:
      Type.Unsafe<Omit<GenerateRequest, 'adapter' | 'team' | 'weight' | 'signal' | 'onPromptRead'>>(options),
  },
  closed,
);
/** A request for vectors or classes of texts. */
const ScorerRequest = Type.Object(
  {
    ...place,
    task: Type.Enum(['embed', 'classify']),
    inputs: Type.Unsafe<ScoredInput[]>(Type.Array(Type.Union([Type.String(), Type.Array(Type.Unknown())]))),
    /** Name of the prompt before each text. */
    promptName: Type.Optional(Type.String()),
    /** Name of the adapter in errors. */
    adapterName: Type.Optional(Type.String()),
  },
  closed,
);
export type GeneratorRequest = Static<typeof GeneratorRequest>;
export type ScorerRequest = Static<typeof ScorerRequest>;
export type ModelPlace = Omit<GeneratorRequest, 'options'>;

const owned = {
  id: large,
  team: Type.String(),
  weight: Type.Number(),
  limits: Type.Unsafe<Partial<ServingLimits>>(options),
};
/** The API has validated `options`, `inputs` and `limits`. `id`: of the request. */
const calls = messages({
  generate: { ...owned, request: GeneratorRequest },
  score: { ...owned, request: ScorerRequest },
  cancel: { id: large },
});

/** Generated text, which may contain anything; `maxLength` in characters. */
const said = Type.String({ maxLength: 2 ** 18 });
/** Arguments of a call, which a style may write at once. */
const bulk = Type.String({ maxLength: 2 ** 21 });
/** Numbers of a text or of all words of a text: float32, little-endian, in base64. */
const numbers = Type.String({ maxLength: 2 ** 21 });
const likelihood = { token: said, logprob: anyNumber };
const counts = { promptTokens: count, cachedTokens: count, completionTokens: count };

const events = messages({
  /** The prompt was read. A `refused` event may still follow. */
  read: { id: large, promptTokens: count },
  /** A new token, with the counts so far. */
  token: {
    id: large,
    text: said,
    reasoning: Type.Optional(said),
    calls: Type.Optional(
      Type.Array(
        Type.Object(
          { index: count, id: Type.Optional(said), name: Type.Optional(said), arguments: bulk },
          closed,
        ),
        { maxItems: 4096 },
      ),
    ),
    likely: Type.Optional(
      Type.Object(
        { ...likelihood, top: Type.Array(Type.Object(likelihood, closed), { maxItems: 20 }) },
        closed,
      ),
    ),
    ...counts,
  },
  done: { id: large, finishReason: Type.Enum(['stop', 'length', 'tool_calls']), ...counts },
  /** Tokens of inputs that were read, sent before the inputs are refused. */
  inputs: { id: large, promptTokens: count },
  /** The inputs were read: what the results describe. */
  start: {
    id: large,
    kind: Type.Enum(['embedding', 'text', 'words']),
    labels: nullable(Type.Array(said, { maxItems: 2 ** 16 })),
    severalLabels: Type.Boolean(),
    width: count,
    promptTokens: count,
  },
  /** Results of some inputs. */
  scores: {
    id: large,
    scores: Type.Array(
      Type.Object({ index: Type.Integer({ minimum: 0, maximum: maxInputs - 1 }), values: numbers }, closed),
      { minItems: 1, maxItems: maxInputs },
    ),
  },
  scored: { id: large },
  refused: { id: large, fault: FaultSchema },
});
/** An event of one request. */
export type EventOf<Name extends keyof typeof events> = Name extends unknown
  ? Omit<Static<(typeof events)[Name]>, 'id'>
  : never;

const results = messages({ stopped: {} });

/** A call lasts from the first request until all are answered; further requests are sent meanwhile. */
export interface GeneratorMessages {
  call: MessageOf<typeof calls>;
  event: MessageOf<typeof events>;
  result: MessageOf<typeof results>;
}

export const checkGenerator = checkerOf({ ...commonEvents, ...events, ...results });
export const checkGeneratorCall = checkerOf({ ...commonCalls, ...calls });
