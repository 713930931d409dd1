import { UsageError } from '../errors.ts';

/** The part of an option's JSON Schema that decides how its value is read. */
interface OptionSchema {
  type?: string;
}

/** Values of `name=value` texts, by the types of the format's options; the format checks them. Throws UsageError for any other text. */
export function optionValues(
  schemas: Record<string, object>,
  given: readonly string[],
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const text of given) {
    const equals = text.indexOf('=');
    if (equals < 1) throw new UsageError(`--option must be name=value, not ${text}.`);
    const [name, value] = [text.slice(0, equals), text.slice(equals + 1)];
    const { type } = (Object.hasOwn(schemas, name) ? schemas[name] : {}) as OptionSchema;
    values[name] = type === 'string' || type === undefined ? value : jsonOr(value);
  }
  return values;
}

function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
