/** Messages between the worker and its generator, a child process that answers requests with a base model and its adapters. */
import type {
  GeneratedText,
  GenerateRequest,
  GenerateResult,
  ScoredInput,
  ScoreKind,
  ScoreTask,
  ServingLimits,
} from '@graft/peft-core';
import { maxInputs } from '@graft/wire/lists';
import { Type } from 'typebox';
import type { ChildFault } from '../processes/child-fault.ts';
import {
  anyNumber,
  checkerOf,
  closed,
  count,
  FailedSchema,
  FaultSchema,
  large,
  nullable,
  ReadySchema,
  StopSchema,
} from '../processes/message-schemas.ts';

/** The model of a request, as plain data. All paths are absolute. */
export interface ModelPlace {
  /** Catalogue id of the base model, and its folder or file. */
  baseModel: string;
  basePath: string;
  /** Folder where the digest of the base model is cached. */
  digestCache: string;
  /** Folder of the adapter's files; null for the plain base model. */
  adapterDir: string | null;
}

/** A request for vectors or classes of texts. */
export interface ScorerRequest extends ModelPlace {
  task: ScoreTask;
  inputs: ScoredInput[];
  /** Name of the prompt before each text. */
  promptName?: string;
  /** Name of the adapter in errors. */
  adapterName?: string;
}

export interface GeneratorRequest extends ModelPlace {
  options: Omit<GenerateRequest, 'adapter' | 'team' | 'weight' | 'signal' | 'onPromptRead'>;
}

/** A message about one request, with the id of the request. */
interface Of {
  id: number;
}

/** The prompt was read. A `refused` event may still follow. */
export interface ReadEvent {
  type: 'read';
  promptTokens: number;
}
/** A new token, with the counts so far. */
export type TokenEvent = { type: 'token' } & Omit<GeneratedText, 'tokenId'>;
export type DoneEvent = { type: 'done' } & GenerateResult;

/** The inputs were read: what the results describe. */
export interface StartEvent {
  type: 'start';
  kind: ScoreKind;
  labels: string[] | null;
  severalLabels: boolean;
  width: number;
  promptTokens: number;
}
/** Results of some inputs: float32, little-endian, in base64. */
export interface ScoresEvent {
  type: 'scores';
  scores: { index: number; values: string }[];
}
export interface ScoredEvent {
  type: 'scored';
}
/** Tokens of inputs that were read, sent before the inputs are refused. */
export interface InputsEvent {
  type: 'inputs';
  promptTokens: number;
}

/** A call lasts from the first request until all are answered; further requests are sent meanwhile. */
export interface GeneratorMessages {
  call:
    | (Of & {
        type: 'generate';
        request: GeneratorRequest;
        team: string;
        weight: number;
        limits: Partial<ServingLimits>;
      })
    | (Of & {
        type: 'score';
        request: ScorerRequest;
        team: string;
        weight: number;
        limits: Partial<ServingLimits>;
      })
    | (Of & { type: 'cancel' });
  event: Of &
    (
      | ReadEvent
      | TokenEvent
      | DoneEvent
      | StartEvent
      | ScoresEvent
      | ScoredEvent
      | InputsEvent
      | { type: 'refused'; fault: ChildFault }
    );
  result: { type: 'stopped' };
}

/** Generated text, which may contain anything; `maxLength` in characters. */
const said = Type.String({ maxLength: 2 ** 18 });
/** Arguments of a call, which a style may write at once. */
const bulk = Type.String({ maxLength: 2 ** 21 });
/** Numbers of a text or of all words of a text, in base64. */
const numbers = Type.String({ maxLength: 2 ** 21 });
const likelihood = { token: said, logprob: anyNumber };
const counts = { promptTokens: count, cachedTokens: count, completionTokens: count };

export const checkGenerator = checkerOf({
  ready: ReadySchema,
  read: Type.Object({ id: large, type: Type.Literal('read'), promptTokens: count }, closed),
  token: Type.Object(
    {
      id: large,
      type: Type.Literal('token'),
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
    closed,
  ),
  done: Type.Object(
    {
      id: large,
      type: Type.Literal('done'),
      finishReason: Type.Enum(['stop', 'length', 'tool_calls']),
      ...counts,
    },
    closed,
  ),
  inputs: Type.Object({ id: large, type: Type.Literal('inputs'), promptTokens: count }, closed),
  start: Type.Object(
    {
      id: large,
      type: Type.Literal('start'),
      kind: Type.Enum(['embedding', 'text', 'words']),
      labels: nullable(Type.Array(said, { maxItems: 2 ** 16 })),
      severalLabels: Type.Boolean(),
      width: count,
      promptTokens: count,
    },
    closed,
  ),
  scores: Type.Object(
    {
      id: large,
      type: Type.Literal('scores'),
      scores: Type.Array(
        Type.Object({ index: Type.Integer({ minimum: 0, maximum: maxInputs - 1 }), values: numbers }, closed),
        { minItems: 1, maxItems: maxInputs },
      ),
    },
    closed,
  ),
  scored: Type.Object({ id: large, type: Type.Literal('scored') }, closed),
  refused: Type.Object({ id: large, type: Type.Literal('refused'), fault: FaultSchema }, closed),
  stopped: Type.Object({ type: Type.Literal('stopped') }, closed),
  failed: FailedSchema,
});

const path = Type.String({ maxLength: 4096 });
const options = Type.Object({}, { additionalProperties: true });

const place = { baseModel: Type.String(), basePath: path, digestCache: path, adapterDir: nullable(path) };
const owned = { team: Type.String(), weight: Type.Number(), limits: options };

/** Schemas of all messages to a generator. The API has validated `options`, `inputs` and `limits`. */
export const checkGeneratorCall = checkerOf({
  stop: StopSchema,
  cancel: Type.Object({ id: large, type: Type.Literal('cancel') }, closed),
  generate: Type.Object(
    {
      id: large,
      type: Type.Literal('generate'),
      request: Type.Object({ ...place, options }, closed),
      ...owned,
    },
    closed,
  ),
  score: Type.Object(
    {
      id: large,
      type: Type.Literal('score'),
      request: Type.Object(
        {
          ...place,
          task: Type.Enum(['embed', 'classify']),
          inputs: Type.Array(Type.Union([Type.String(), Type.Array(Type.Unknown())])),
          promptName: Type.Optional(Type.String()),
          adapterName: Type.Optional(Type.String()),
        },
        closed,
      ),
      ...owned,
    },
    closed,
  ),
});
