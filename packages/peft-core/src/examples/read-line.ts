import { isRecord, show } from '../schema/check-fields.ts';
import { isWeight, WEIGHT_RANGE } from '../schema/loss-weight.ts';
import { formats, type RawExample } from './formats/formats.ts';

/** Fields that would change what is learned, and are rejected. Other columns, such as an id, are ignored. */
const UNSUPPORTED_KEYS: Record<string, string> = { functions: 'functions, which "tools" replaced,' };

/** A field that is rejected; undefined without one. */
export function unsupportedField(line: object): string | undefined {
  return Object.keys(line).find((key) => Object.hasOwn(UNSUPPORTED_KEYS, key));
}

/** Checks one line's JSON. Returns the example, or all faults of the line in one sentence. */
export function readLine(value: unknown, line: number): RawExample | string {
  if (!isRecord(value)) return `must be a JSON object, got ${show(value)}`;
  const unsupported = unsupportedField(value);
  if (unsupported) return `"${unsupported}": ${UNSUPPORTED_KEYS[unsupported]} is not supported`;
  const matching = variants(formats.filter((format) => format.matches(value)));
  const [format, ...more] = matching.values();
  const called = (all: Iterable<string>) => [...all].join(', or ');
  if (!format) return `holds no example; give ${called(variants(formats).keys())}`;
  if (more.length > 0) return `holds several kinds of example; give either ${called(matching.keys())}`;
  const fields = format.read(value);
  // A table has null where a line has no value.
  const { weight = null } = value;
  const isBad = weight !== null && !isWeight(weight);
  const fault = isBad ? `"weight" must be ${WEIGHT_RANGE}, got ${show(weight)}; ${WEIGHT_MEANING}` : null;
  if (typeof fields === 'string') return fault ? `${fields}; ${fault}` : fields;
  if (fault) return fault;
  const example = { format: format.name, line, ...fields } as RawExample;
  return weight === null || weight === 1 ? example : { ...example, weight: weight as number };
}

const WEIGHT_MEANING =
  'it is the factor of the example in the loss, so rename a column that means something else';

/** Formats by their `called`; the last one of each. */
const variants = (all: typeof formats) => new Map(all.map((format) => [format.called, format]));

/** A fault in an example's texts: a lone surrogate is not a valid character, and labels cannot contain U+0000. */
export function unstorableText({ line: _, format, ...fields }: RawExample): string | null {
  for (const [field, value] of Object.entries(fields)) {
    for (const text of textsIn(value)) {
      if (/\p{Surrogate}/u.test(text)) return `"${field}" holds a lone surrogate, which no UTF-8 can hold`;
      if (field.startsWith('label') && text.includes('\0')) return `"${field}" holds U+0000`;
    }
  }
  return null;
}

/** Every text in a value, names of fields included. The depth of lines is limited. */
function* textsIn(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value;
  else if (Array.isArray(value)) for (const part of value) yield* textsIn(part);
  else if (isRecord(value))
    for (const [name, part] of Object.entries(value)) {
      yield name;
      yield* textsIn(part);
    }
}
