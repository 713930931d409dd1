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
  const pairs = given.map((text): [string, unknown] => {
    const equals = text.indexOf('=');
    if (equals < 1) throw new UsageError(`--option must be name=value, not ${text}.`);
    const [name, value] = [text.slice(0, equals), text.slice(equals + 1)] as const;
    const { type } = (Object.hasOwn(schemas, name) ? schemas[name] : {}) as OptionSchema;
    return [name, type === 'string' || type === undefined ? value : jsonOr(value)];
  });
  // Unlike an assignment, this keeps the name __proto__, which the format then refuses.
  return Object.fromEntries(pairs);
}

function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
