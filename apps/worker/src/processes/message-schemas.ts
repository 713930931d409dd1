/** Parts of the schemas of messages between processes. */
import { MAX_DATA_FILES } from '@graft/peft-core/config';
import { type TSchema, Type } from 'typebox';
import { Compile } from 'typebox/compile';

export const closed = { additionalProperties: false } as const;
export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

/** Text that Postgres accepts: without U+0000 and lone surrogates. */
export const text = (maxLength: number) => Type.String({ maxLength, pattern: /^[^\0\p{Surrogate}]*$/u });
/** Any number, including NaN and infinities. */
export const anyNumber = Type.Refine(
  Type.Unsafe<number>(Type.Unknown()),
  (value) => typeof value === 'number',
  () => 'must be a number',
);
/** Steps, trials and other counts that fit a Postgres integer. */
export const count = Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 });
/** Tokens and bytes. */
export const large = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
export const word = Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$' });

/** Maximum length of the message and of the stack of a fault, in characters. */
export const longestFault = 4000;
export const longestStack = 20_000;

export const FaultSchema = Type.Object(
  {
    code: word,
    message: text(longestFault),
    param: nullable(text(500)),
    fault: Type.Enum(['user', 'system', 'environment']),
    stack: Type.Optional(text(longestStack)),
  },
  closed,
);

export const FailedSchema = Type.Object({ type: Type.Literal('failed'), fault: FaultSchema }, closed);
export const ReadySchema = Type.Object({ type: Type.Literal('ready') }, closed);
export const StopSchema = Type.Object({ type: Type.Literal('stop') }, closed);

/** Validates a value. Returns null where it is valid, otherwise the reason, without the value's content. */
export type Check = (value: unknown) => string | null;

/** Creates a check for messages by their `type`. Each schema is compiled once. */
export function checkerOf(schemas: Readonly<Record<string, TSchema>>): Check {
  const checks = new Map(Object.entries(schemas).map(([type, schema]) => [type, Compile(schema)]));
  return (value) => {
    const type = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined;
    const check = typeof type === 'string' ? checks.get(type) : undefined;
    if (!check) return 'a message of no known type';
    if (check.Check(value)) return null;
    const [first] = check.Errors(value);
    return `a message ${type} that does not fit: ${first?.instancePath.slice(0, 100)} ${first?.message.slice(0, 200)}`;
  };
}

/** Metrics of an objective, and of each of 16 validation files. */
const MAX_METRICS = 32 + 16 * 16;
/** Metrics by their wire names. */
export const MetricsSchema = Type.Record(Type.String({ pattern: '^[a-z][a-z0-9_]{0,63}$' }), anyNumber, {
  ...closed,
  maxProperties: MAX_METRICS,
});

/** The columns of the metrics of validation files, by their wire names. */
export const setColumns = <Column extends TSchema>(column: Column) =>
  Type.Record(Type.String({ pattern: '^eval_[a-z0-9_]{1,59}$' }), column, {
    ...closed,
    maxProperties: MAX_METRICS,
  });

/** The data files of a job: `TrainingFile` and `ValidationFile` of peft-core. */
export const FileListSchema = Type.Array(
  Type.Object(
    {
      path: text(4096),
      label: Type.Optional(text(1000)),
      weight: Type.Optional(Type.Number()),
      epochs: Type.Optional(Type.Number()),
      name: Type.Optional(text(64)),
    },
    closed,
  ),
  { maxItems: MAX_DATA_FILES },
);

const triedValue = Type.Union([Type.Number(), Type.Boolean(), Type.Null(), text(200)]);
const tried = <Value extends TSchema>(value: Value) =>
  Type.Record(word, value, { ...closed, maxProperties: 16 });
const TriedPreferenceSchema = tried(Type.Union([triedValue, Type.Array(triedValue, { maxItems: 8 })]));

/** A finding in a run's curves, with options to try in another job; among them `preference`, an object of options. */
export const adviceFields = {
  kind: Type.Enum([
    'diverging',
    'flat',
    'no_gradient',
    'overfitting',
    'undecided',
    'margin_exploding',
    'chosen_unlikely',
  ]),
  step: count,
  message: text(2000),
  try: tried(Type.Union([triedValue, TriedPreferenceSchema])),
};
