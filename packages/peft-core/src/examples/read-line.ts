import { isRecord, show } from '../schema/check-fields.ts';
import { formats, type RawExample } from './formats/formats.ts';

/** Fields that would change what is learned, and are rejected. Other columns, such as an id, are ignored. */
const UNSUPPORTED_KEYS: Record<string, string> = {
  tools: 'tools',
  functions: 'functions',
  parallel_tool_calls: 'tools',
  preferred_output: 'preference (DPO) data',
  non_preferred_output: 'preference (DPO) data',
};

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
  return typeof fields === 'string' ? fields : ({ format: format.name, line, ...fields } as RawExample);
}

/** Formats by their `called`; the last one of each. */
const variants = (all: typeof formats) => new Map(all.map((format) => [format.called, format]));

/** A fault in an example's texts: a lone surrogate is not a valid character, and labels cannot contain U+0000. */
export function unstorableText({ line: _, format, ...fields }: RawExample): string | null {
  for (const [field, value] of Object.entries(fields)) {
    const texts = [value].flat().map((part) => (typeof part === 'object' && part ? part.content : part));
    for (const text of texts) {
      if (typeof text !== 'string') continue;
      if (/\p{Surrogate}/u.test(text)) return `"${field}" holds a lone surrogate, which no UTF-8 can hold`;
      if (field.startsWith('label') && text.includes('\0')) return `"${field}" holds U+0000`;
    }
  }
  return null;
}
