/**
 * Protocol between API and worker for vectors and classes of texts: `POST /internal/score` on the worker's internal server, as
 * `/internal/generate` in protocol.ts. The request body is a `ScoringRequest`; each line of the response is a `ScoringLine`. Workers of
 * earlier versions do not know the path, and the API asks another.
 */
import { maxInputs } from '@graft/wire/lists';
import { type Static, Type } from 'typebox';
import { AdapterRefSchema, closed, ErrorLineSchema, nullable } from './protocol.ts';

export const scoringPath = '/internal/score';
/** Characters of base64 in a line of the response, about; a line of one result may be longer. */
export const lineCharacters = 128 * 1024;

const minOne = { minItems: 1 };
const Input = Type.Union([
  Type.String(),
  Type.Array(Type.Integer(), minOne),
  Type.Array(Type.String(), minOne),
]);

export const ScoringRequestSchema = Type.Object(
  {
    /** Catalogue id. */
    base_model: Type.String(),
    /** Null: the base model without an adapter. */
    adapter: nullable(AdapterRefSchema),
    task: Type.Enum(['embed', 'classify']),
    /** Texts, token ids, or words for a classifier of words. */
    inputs: Type.Array(Input, { minItems: 1, maxItems: maxInputs }),
    /** Name of the prompt before each text to embed, empty for none. Absent: the model's default. */
    prompt_name: Type.Optional(Type.String()),
  },
  closed,
);
export type ScoringRequest = Static<typeof ScoringRequestSchema>;

const count = Type.Integer({ minimum: 0 });

/** The first line is `start`, and the last `done` or `error`. */
export const ScoringLineSchema = Type.Union([
  Type.Object({
    type: Type.Literal('start'),
    /** Kind of results: a vector or classes of a text, or classes of each of its words. */
    kind: Type.Enum(['embedding', 'text', 'words']),
    /** Names of the classes; null for vectors. */
    labels: nullable(Type.Array(Type.String())),
    several_labels: Type.Boolean(),
    /** Numbers of a vector, or classes. */
    width: count,
    /** Tokens of all inputs. */
    prompt_tokens: count,
  }),
  Type.Object({
    type: Type.Literal('scores'),
    scores: Type.Array(
      Type.Object({
        index: count,
        /** Float32, little-endian, in base64: a vector, logits, or each word's class and its probability, NaN for a word without tokens. */
        values: Type.String(),
      }),
    ),
  }),
  Type.Object({ type: Type.Literal('done') }),
  ErrorLineSchema,
]);
export type ScoringLine = Static<typeof ScoringLineSchema>;
export type ScoringEvent = Exclude<ScoringLine, { type: 'error' }>;
