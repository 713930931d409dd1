/** The subset of JSON Schema that job options use, and conversion of their values to and from text. */
export interface Schema {
  type?: string;
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  items?: Schema;
  default?: unknown;
  pattern?: string;
  description?: string;
  properties?: Record<string, Schema>;
}

export type NamedSchema = [name: string, schema: Schema];

export const listProperties = (schema: unknown): NamedSchema[] =>
  Object.entries((schema as Schema).properties ?? {});

const listVariants = (schema: Schema): Schema[] => schema.anyOf?.flatMap(listVariants) ?? [schema];

/** All valid values, if the schema lists them; else null. */
export function listChoices(schema: Schema): unknown[] | null {
  const choices: unknown[] = [];
  for (const variant of listVariants(schema)) {
    if (variant.const !== undefined) choices.push(variant.const);
    else if (variant.enum) choices.push(...variant.enum);
    else if (variant.type === 'boolean') choices.push(true, false);
    // Names that depend on the job, beside those that every job has.
    else if (variant.type === 'string' && variant.pattern !== undefined && choices.length > 0) continue;
    else if (variant.type !== 'null') return null;
  }
  return choices.length > 0 ? choices : null;
}

/** The schema of a list's items; null: not a list. */
export const itemSchema = (schema: Schema): Schema | null =>
  listVariants(schema).find(({ type }) => type === 'array')?.items ?? null;
const accepts = (schema: Schema, type: string) =>
  listVariants(schema).some((variant) => variant.type === type);
export const acceptsNumber = (schema: Schema): boolean =>
  accepts(schema, 'integer') || accepts(schema, 'number');

/** A value as text: lists separated by commas, strings unchanged, others as JSON. */
export function formatValue(value: unknown): string {
  if (value === undefined) return '';
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every((each) => typeof each !== 'object')) return value.join(', ');
  return JSON.stringify(value);
}

/** The value of a text; undefined if it is empty. Invalid text stays a string, so that the API reports the error. */
export function parseValue(text: string, schema: Schema): unknown {
  const trimmed = text.trim();
  if (trimmed === '') return undefined;
  if (acceptsNumber(schema) && Number.isFinite(Number(trimmed))) return Number(trimmed);
  const item = itemSchema(schema);
  const isList = trimmed.includes(',') || !(accepts(schema, 'string') || acceptsNumber(schema));
  if (item && !/^[[{]/.test(trimmed) && trimmed !== 'null' && isList) {
    const parts = trimmed.split(',').map((part) => part.trim());
    return parts
      .filter((part) => part !== '')
      .map((part) => (item.type === 'string' ? part : parseJson(part)));
  }
  return accepts(schema, 'string') && !/^([[{]|null$)/.test(trimmed) ? trimmed : parseJson(trimmed);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    const number = Number(text);
    return Number.isFinite(number) ? number : text;
  }
}

/** A value as a label: `yes` for true. */
export function valueLabel(value: unknown): string {
  if (value === true) return 'yes';
  if (value === false) return 'no';
  return value === null || value === undefined ? 'none' : formatValue(value);
}
