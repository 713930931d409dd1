/**
 * Constraints of values that are not written as JSON, by their JSON schema. A value for which a form has no way is JSON.
 */
import { GraftError } from '../../errors.ts';
import { NOTES, schemaPart } from '../../schema/answer-schema.ts';
import { isRecord } from '../../schema/check-fields.ts';
import type { ConstraintFormat } from './tool-style.ts';

/** How a style writes values. */
export interface ValueForm {
  words: { true: string; false: string; null: string };
  /** A string that is one of a schema's choices. */
  quoted(text: string): string;
  /** The strings that a schema allows. */
  string(schema: Schema): ConstraintFormat;
  list: { open: string; separator: string; close: string } | null;
  object: (FieldForm & { open: string; close: string; key: ConstraintFormat }) | null;
}

/** How a style writes the fields of an object. */
export interface FieldForm {
  /** Before a field's value. */
  assign(key: string): string;
  /** After a field's value. */
  end: string;
  separator: string;
}

type Schema = Readonly<Record<string, unknown>>;

/** References that lead from one to the next. */
const MAX_DEPTH = 64;
/** Keywords beside a reference that restrict nothing. */
const UNRESTRICTIVE = new Set([...NOTES, '$defs', 'definitions']);
const NUMBERS = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'];
/** Types by keywords, for schemas without a type. */
const IMPLIED: readonly [type: string, keywords: readonly string[]][] = [
  ['object', ['properties', 'required', 'additionalProperties', 'minProperties', 'maxProperties']],
  ['array', ['items', 'prefixItems', 'minItems', 'maxItems']],
  ['string', ['pattern', 'format', 'minLength', 'maxLength']],
  ['number', NUMBERS],
];
const TYPES = ['string', 'number', 'boolean', 'null', 'array', 'object'];

const constant = (value: string): ConstraintFormat => ({ type: 'const_string', value });
const nothing = constant('');
const sequence = (...elements: ConstraintFormat[]): ConstraintFormat => ({ type: 'sequence', elements });
const or = (elements: ConstraintFormat[]): ConstraintFormat =>
  elements.length === 1 ? elements[0]! : { type: 'or', elements };

/** The fields of a tool's arguments: the required ones in order, then any of the others in order. */
export function fieldsConstraint(schema: Schema, fields: FieldForm, values: ValueForm): ConstraintFormat {
  const writer = new Writer(schema, values);
  return { type: 'rules', root: writer.fields(schema, fields, 0), rules: writer.rules };
}

class Writer {
  readonly rules: Record<string, ConstraintFormat> = {};
  readonly #root: Schema;
  readonly #form: ValueForm;
  readonly #references = new Map<string, ConstraintFormat>();

  constructor(root: Schema, form: ValueForm) {
    this.#root = root;
    this.#form = form;
  }

  fields(schema: Schema, { assign, end, separator }: FieldForm, depth: number): ConstraintFormat {
    const required = new Set(listOf(schema.required));
    const declared = isRecord(schema.properties) ? schema.properties : {};
    const more = isRecord(schema.additionalProperties) ? schema.additionalProperties : true;
    const missing = [...required].filter((name) => !Object.hasOwn(declared, name as string));
    const all = [...Object.entries(declared), ...missing.map((name) => [name as string, more] as const)];
    const fieldOf = ([key, value]: readonly [string, unknown]) =>
      this.#rule(sequence(constant(assign(key)), this.#value(value, depth), constant(end)));
    const needed = all.filter(([key]) => required.has(key)).map(fieldOf);
    const others = all.filter(([key]) => !required.has(key)).map(fieldOf);
    /** Any of the other fields from each number on, after another field. */
    const after: ConstraintFormat[] = [nothing];
    for (const each of others.toReversed())
      after.unshift(this.#rule(sequence(or([sequence(constant(separator), each), nothing]), after[0]!)));
    if (needed.length === 0) return or([...others.map((each, i) => sequence(each, after[i + 1]!)), nothing]);
    return sequence(
      ...needed.flatMap((each, i) => (i === 0 ? [each] : [constant(separator), each])),
      after[0]!,
    );
  }

  #rule(format: ConstraintFormat): ConstraintFormat {
    const name = `r${Object.keys(this.rules).length}`;
    this.rules[name] = format;
    return { type: 'rule', name };
  }

  #value(schema: unknown, depth: number): ConstraintFormat {
    if (depth > MAX_DEPTH)
      throw new GraftError(
        'invalid_schema',
        `the parameters of a tool must nest at most ${MAX_DEPTH} deep, references included`,
        { param: 'tools' },
      );
    if (!isRecord(schema)) return or(TYPES.map((type) => this.#typed(type, {}, depth)));
    const { $ref, enum: choices, const: only, anyOf, oneOf, allOf, ...rest } = schema;
    if (typeof $ref === 'string') return this.#reference($ref, rest, depth);
    if (Array.isArray(choices)) return or(choices.map((each) => this.#choice(each)));
    if (only !== undefined) return this.#choice(only);
    if (Array.isArray(allOf))
      return this.#value(allOf.reduce(merged, { ...schema, allOf: undefined }), depth + 1);
    const alternatives = anyOf ?? oneOf;
    if (Array.isArray(alternatives))
      return or(alternatives.map((each) => this.#value(merged(rest, each), depth + 1)));
    return or(typesOf(rest).map((type) => this.#typed(type, rest, depth)));
  }

  #reference(to: string, beside: Schema, depth: number): ConstraintFormat {
    const target = schemaPart(this.#root, to);
    const keywords = Object.keys(beside).filter((name) => !UNRESTRICTIVE.has(name));
    if (keywords.length > 0) return this.#value(merged(beside, target), depth + 1);
    return this.#shared(to, target, depth + 1);
  }

  /** The rule of a schema that may contain itself, written once for each key. */
  #shared(key: string, schema: unknown, depth: number): ConstraintFormat {
    const known = this.#references.get(key);
    if (known) return known;
    const rule = this.#rule(nothing) as { type: 'rule'; name: string };
    this.#references.set(key, rule);
    this.rules[rule.name] = this.#value(schema, depth);
    return rule;
  }

  #choice(value: unknown): ConstraintFormat {
    return constant(written(value, this.#form));
  }

  #typed(type: string, schema: Schema, depth: number): ConstraintFormat {
    const { words, list, object } = this.#form;
    switch (type) {
      case 'string':
        return this.#form.string(schema);
      case 'boolean':
        return or([constant(words.true), constant(words.false)]);
      case 'null':
        return constant(words.null);
      case 'array':
        return list ? this.#list(schema, list, depth) : this.#json(type, schema);
      case 'object':
        return object ? this.#object(schema, object, depth) : this.#json(type, schema);
      default:
        return this.#json(
          type,
          Object.fromEntries(NUMBERS.flatMap((name) => (name in schema ? [[name, schema[name]]] : []))),
        );
    }
  }

  /** References resolve against the whole schema's definitions. */
  #json(type: string, schema: Schema): ConstraintFormat {
    const { $defs, definitions } = this.#root;
    const defined = { ...($defs ? { $defs } : {}), ...(definitions ? { definitions } : {}) };
    return { type: 'json_schema', json_schema: { ...schema, type, ...defined } };
  }

  #list(
    schema: Schema,
    { open, separator, close }: NonNullable<ValueForm['list']>,
    depth: number,
  ): ConstraintFormat {
    if (Array.isArray(schema.prefixItems)) {
      const items = schema.prefixItems.map((each) => this.#value(each, depth + 1));
      const joined = items.flatMap((each, i) => (i === 0 ? [each] : [constant(separator), each]));
      return sequence(constant(open), ...joined, constant(close));
    }
    const element = schema.items === undefined ? this.#anything : this.#value(schema.items, depth + 1);
    const { min, max } = limitsOf(schema.minItems, schema.maxItems);
    return sequence(constant(open), { type: 'repeat', element, separator, min, max }, constant(close));
  }

  #object(schema: Schema, form: NonNullable<ValueForm['object']>, depth: number): ConstraintFormat {
    const { open, close, key, separator } = form;
    const isOpen = schema.properties === undefined && schema.required === undefined;
    if (!isOpen || schema.additionalProperties === false)
      return sequence(constant(open), this.fields(schema, form, depth + 1), constant(close));
    const { additionalProperties: values } = schema;
    const value = isRecord(values) ? this.#value(values, depth + 1) : this.#anything;
    const { min, max } = limitsOf(schema.minProperties, schema.maxProperties);
    const element = sequence(key, value);
    return sequence(constant(open), { type: 'repeat', element, separator, min, max }, constant(close));
  }

  /** Any value. */
  get #anything(): ConstraintFormat {
    return this.#shared('', true, 0);
  }
}

/** A value as a form writes it. */
function written(value: unknown, form: ValueForm): string {
  if (typeof value === 'string') return form.quoted(value);
  if (typeof value === 'boolean') return value ? form.words.true : form.words.false;
  if (value === null) return form.words.null;
  if (typeof value !== 'object') return String(value);
  const { list, object } = form;
  if (Array.isArray(value))
    return list
      ? list.open + value.map((each) => written(each, form)).join(list.separator) + list.close
      : JSON.stringify(value);
  if (!object) return JSON.stringify(value);
  const fields = Object.entries(value).map(
    ([key, each]) => object.assign(key) + written(each, form) + object.end,
  );
  return object.open + fields.join(object.separator) + object.close;
}

function typesOf(schema: Schema): readonly string[] {
  if (typeof schema.type === 'string') return [schema.type];
  if (Array.isArray(schema.type)) return schema.type;
  const implied = IMPLIED.find(([, keywords]) => keywords.some((name) => name in schema));
  return implied ? [implied[0]] : TYPES;
}

/** A schema with all that both require; of a keyword that both have, the second's. */
function merged(schema: Schema, other: unknown): Schema {
  if (!isRecord(other)) return schema;
  const both = { ...schema, ...other };
  if (isRecord(schema.properties) && isRecord(other.properties))
    both.properties = { ...schema.properties, ...other.properties };
  const required = [...listOf(schema.required), ...listOf(other.required)];
  return required.length > 0 ? { ...both, required } : both;
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

const limitsOf = (min: unknown, max: unknown) => ({
  min: typeof min === 'number' ? min : 0,
  max: typeof max === 'number' ? max : null,
});

/** Formats of strings that the grammar's library knows. */
const FORMATS = ['date', 'time', 'date-time', 'duration', 'email', 'hostname', 'ipv4', 'ipv6', 'uri', 'uuid'];

/** Texts without quotes that the schema of a string allows, and that do not contain `end`. With limits of length they have no start of it. */
export function bareText(schema: Schema, end: string): ConstraintFormat {
  const { pattern, format, minLength, maxLength } = schema;
  // Texts of the library have line ends at a dot, and those of JSON schemas have none.
  if (typeof pattern === 'string')
    return { type: 'regex', pattern: pattern.replace(PARTS, (part) => (part === '.' ? '[^\\n\\r]' : part)) };
  if (FORMATS.includes(format as string))
    return { type: 'unquoted', json_schema: { type: 'string', format } };
  if (minLength === undefined && maxLength === undefined)
    return { type: 'grammar', grammar: textWithout(end) };
  const { min, max } = limitsOf(minLength, maxLength);
  return { type: 'grammar', grammar: `root ::= [^${classOf([end[0]!])}]{${min},${max ?? ''}}` };
}

/** Escapes, classes and single characters of a pattern. */
const PARTS = /\\.|\[(?:\\.|[^\]\\])*\]|./gs;

/** The grammar of texts that do not contain `part`: a state for each length of its start that the text so far ends with. */
function textWithout(part: string): string {
  const signs = [...new Set(part)];
  /** Length of the longest end of `text` that starts `part`. */
  const stateOf = (text: string): number => {
    let length = Math.min(text.length, part.length);
    while (!part.startsWith(text.slice(text.length - length))) length--;
    return length;
  };
  const rules = Array.from(part, (_, state) => {
    const nexts = signs.map((sign) => [sign, stateOf(part.slice(0, state) + sign)] as const);
    const known = nexts.filter(([, next]) => next > 0);
    const followed = known.filter(([, next]) => next < part.length);
    const alternatives = followed.map(([sign, next]) => `[${classOf([sign])}] s${next}`);
    return `s${state} ::= "" | [^${classOf(known.map(([sign]) => sign))}] s0 | ${alternatives.join(' | ')}`;
  });
  return [`root ::= s0`, ...rules].join('\n');
}

const classOf = (signs: readonly string[]): string =>
  signs.map((sign) => sign.replace(/[\]\\^-]/g, '\\$&')).join('');
