/** JSON Schema as far as the options of jobs use it, and how their values are written in fields. */
export interface Schema {
  type?: string;
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  items?: Schema;
  default?: unknown;
  description?: string;
  properties?: Record<string, Schema>;
}

export const propertiesOf = (schema: unknown): [name: string, schema: Schema][] =>
  Object.entries((schema as Schema).properties ?? {});

const formsOf = (schema: Schema): Schema[] => schema.anyOf?.flatMap(formsOf) ?? [schema];

/** Every value that it takes, where they are few; else null. */
export function choicesOf(schema: Schema): unknown[] | null {
  const choices: unknown[] = [];
  for (const form of formsOf(schema)) {
    if (form.const !== undefined) choices.push(form.const);
    else if (form.enum) choices.push(...form.enum);
    else if (form.type === 'boolean') choices.push(true, false);
    else if (form.type !== 'null') return null;
  }
  return choices.length > 0 ? choices : null;
}

/** Whether it takes a list, and of what. */
export const listOf = (schema: Schema): Schema | null =>
  formsOf(schema).find(({ type }) => type === 'array')?.items ?? null;
const takes = (schema: Schema, type: string) => formsOf(schema).some((form) => form.type === type);
export const takesNumber = (schema: Schema): boolean => takes(schema, 'integer') || takes(schema, 'number');

/** A value as it stands in a field: lists with commas between, text as it is, all else as JSON. */
export function textOf(value: unknown): string {
  if (value === undefined) return '';
  if (typeof value === 'string') return value;
  if (Array.isArray(value) && value.every((each) => typeof each !== 'object')) return value.join(', ');
  return JSON.stringify(value);
}

/**
 * What a field says: nothing where it is empty. What it cannot mean stays text, for the API to say what it should be.
 */
export function readText(text: string, schema: Schema): unknown {
  const said = text.trim();
  if (said === '') return undefined;
  if (takesNumber(schema) && Number.isFinite(Number(said))) return Number(said);
  const item = listOf(schema);
  const isMany = said.includes(',') || !(takes(schema, 'string') || takesNumber(schema));
  if (item && !/^[[{]/.test(said) && said !== 'null' && isMany) {
    const parts = said.split(',').map((part) => part.trim());
    return parts.filter((part) => part !== '').map((part) => (item.type === 'string' ? part : plain(part)));
  }
  return takes(schema, 'string') && !/^([[{]|null$)/.test(said) ? said : plain(said);
}

function plain(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    const number = Number(text);
    return Number.isFinite(number) ? number : text;
  }
}

/** A value in words: `yes` for true. */
export function wordOf(value: unknown): string {
  if (value === true) return 'yes';
  if (value === false) return 'no';
  return value === null || value === undefined ? 'none' : textOf(value);
}
