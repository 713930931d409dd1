/** Parts of the schemas of messages between processes. */
import { MAX_DATA_FILES } from '@graft/peft-core/config';
import { closed, maxMetrics, messages, nullable, text, word } from '@graft/peft-core/reports';
import { type TSchema, Type } from 'typebox';
import { Compile } from 'typebox/compile';

/** Maximum length of the message and of the stack of a fault, in characters. */
export const longestFault = 4000;
export const longestStack = 20_000;

export const FaultSchema = Type.Object(
  {
    code: word,
    message: text(longestFault),
    param: nullable(text(500)),
    fault: Type.Enum(['user', 'system', 'environment']),
    /** For the operator's log only. */
    stack: Type.Optional(text(longestStack)),
  },
  closed,
);

/** Messages of every child to the worker, and of the worker to every child. */
export const commonEvents = messages({ ready: {}, failed: { fault: FaultSchema } });
export const commonCalls = messages({ stop: {} });

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

/** The columns of the metrics of validation files, by their wire names. */
export const setColumns = <Column extends TSchema>(column: Column) =>
  Type.Record(Type.String({ pattern: '^eval_[a-z0-9_]{1,59}$' }), column, {
    ...closed,
    maxProperties: maxMetrics,
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
