/** Grammars of the values that a JSON schema allows, as JSON or as a style of tool calls writes them. */
import { show } from '../check-fields.ts';
import {
  type Automaton,
  accepts,
  charactersOf,
  complement,
  everyCharacter,
  intersection,
  textsBesides,
  textsOfLength,
  textsWithout,
} from './automaton.ts';
import { type FlatSchema, flatSchemas, type SchemaPart, type Type } from './flat-schema.ts';
import { formats } from './formats.ts';
import { isDivisor, numberAutomaton } from './numbers.ts';
import { patternAutomaton } from './regular-expression.ts';
import { automatonText, countedText, GrammarRules, literal } from './rules.ts';
import { type Place, placeOf, SchemaFault, spend } from './schema-fault.ts';

/** How values are written. Lists and objects for which there is no form are written as JSON. */
export interface ValueForm {
  words: { true: string; false: string; null: string };
  /** Strings: as in JSON, or as they are between marks and without `barred`. */
  text: 'json' | { open: string; close: string; barred: string };
  list: { open: string; separator: string; close: string } | null;
  object: (FieldForm & { open: string; close: string }) | null;
}

/** How the fields of an object are written: name, value, and what is before, between and after. */
export interface FieldForm {
  before: string;
  /** Names: as in JSON, or as they are; undeclared ones are then letters, digits and `_`. */
  name: 'json' | 'raw';
  assign: string;
  end: string;
  separator: string;
}

const json: ValueForm = {
  words: { true: 'true', false: 'false', null: 'null' },
  text: 'json',
  list: { open: '[', separator: ', ', close: ']' },
  object: { open: '{', before: '', name: 'json', assign: ': ', end: '', separator: ', ', close: '}' },
};

/** The expression of the values of a schema. `strict`: what answers may not follow is a fault; otherwise it is ignored. Throws SchemaFault. */
export function answerExpression(schema: unknown, rules: GrammarRules, { strict = false } = {}): string {
  const writer = new Writer({ root: schema, rules, form: json, strict });
  return writer.value([{ schema, path: '' }]) ?? nothingAllowed('');
}

/** The expression of the fields of a schema of an object, such as a tool's arguments. Throws SchemaFault. */
export function fieldsExpression(
  schema: unknown,
  fields: FieldForm,
  form: ValueForm,
  rules: GrammarRules,
): string {
  const writer = new Writer({ root: schema, rules, form, strict: false });
  const flat = flatSchemas([{ schema, path: '' }], writer.options).filter(({ types }) => types.has('object'));
  const texts = flat.flatMap((each) => writer.fields(each, fields) ?? []);
  return texts.length > 0 ? either(texts) : nothingAllowed('');
}

function nothingAllowed(path: string): never {
  throw new SchemaFault(`must allow a value${placeOf({ path })}: no value follows all of it`);
}

interface Given {
  root: unknown;
  rules: GrammarRules;
  form: ValueForm;
  strict: boolean;
  /** True if only texts that certainly are no value of the schema are left out: patterns match anywhere, formats are any text. */
  isWide?: boolean;
}

class Writer {
  readonly #given: Given;
  readonly #known = new Map<string, { name: string | null; isUsed: boolean }>();
  readonly options;

  constructor(given: Given) {
    this.#given = given;
    const { root, rules, isWide = false } = given;
    this.options = {
      root,
      budget: rules.budget,
      implied: !isWide,
      onlyOne: (alternatives: readonly SchemaPart[], beside: readonly SchemaPart[], path: string) =>
        this.#checkOnlyOne(alternatives, beside, path),
    };
  }

  /** The expression of values that follow all parts; null if there is none. */
  value(parts: readonly SchemaPart[]): string | null {
    const texts = [...new Set(parts.map(({ schema }) => JSON.stringify(schema)))].filter(
      (text) => text !== 'true',
    );
    const key = texts.join();
    const known = this.#known.get(key);
    if (known) {
      known.isUsed = true;
      return known.name;
    }
    const { rules } = this.#given;
    const entry: { name: string | null; isUsed: boolean } = { name: rules.reserve(), isUsed: false };
    const name = entry.name!;
    this.#known.set(key, entry);
    const expressions = flatSchemas(parts, this.options).flatMap((flat) => this.#typed(flat));
    if (expressions.length > 0) {
      rules.define(name, either([...new Set(expressions)]));
      return name;
    }
    if (entry.isUsed) nothingAllowed(parts[0]?.path ?? '');
    entry.name = null;
    return null;
  }

  #place(path: string): Place {
    return { path, budget: this.#given.rules.budget };
  }

  /** `strict` refuses it, and otherwise it is ignored. */
  #refuse(what: string, path: string, why: string): void {
    if (this.#given.strict && !this.#given.isWide)
      throw new SchemaFault(`must not have ${what}${placeOf({ path })} with 'strict': ${why}`);
  }

  #checkOnlyOne(alternatives: readonly SchemaPart[], beside: readonly SchemaPart[], path: string): void {
    const { strict, isWide, root, rules } = this.#given;
    if (!strict || isWide) return;
    for (const [i, one] of alternatives.entries())
      for (const other of alternatives.slice(i + 1)) {
        spend(this.#place(path), 100);
        const wide = new Writer({
          root,
          rules: new GrammarRules(rules.budget),
          form: json,
          strict,
          isWide: true,
        });
        if (wide.value([one, other, ...beside]) !== null)
          this.#refuse(
            "'oneOf'",
            path,
            `a value may follow both ${show(one.path)} and ${show(other.path)}; use 'anyOf', or a property with another 'const' in each`,
          );
      }
  }

  #typed(flat: FlatSchema): string[] {
    const { types, values } = flat;
    if (values) return values.flatMap((value) => this.#choice(value, flat));
    const kinds = [...types].filter((type) => type !== 'integer' || !types.has('number'));
    return kinds.flatMap((type) => this.#ofType(type, flat) ?? []);
  }

  #ofType(type: Type, flat: FlatSchema): string | null {
    const { form, rules } = this.#given;
    const { words, list, object } = form;
    switch (type) {
      case 'string':
        return this.#text(flat);
      case 'boolean':
        return either([literal(words.true), literal(words.false)]);
      case 'null':
        return literal(words.null);
      case 'array':
        return list ? this.#list(flat, list) : this.#asJson(flat, type);
      case 'object': {
        if (!object) return this.#asJson(flat, type);
        const fields = this.fields(flat, object);
        return fields && rules.add(`${literal(object.open)} ${fields} ${literal(object.close)}`);
      }
      default: {
        const automaton = this.#numbers(flat, type === 'integer');
        return automaton.length === 0 ? null : automatonText(automaton, 'raw', '', rules);
      }
    }
  }

  #numbers({ number: { min, max, divisors }, path }: FlatSchema, isInteger: boolean): Automaton {
    const known = divisors.flatMap(({ schema, path: at }) => {
      if (isDivisor(schema)) return [schema];
      this.#refuse(
        `'multipleOf' ${show(schema)}`,
        at,
        'it must be a whole number up to 200 or a power of ten',
      );
      return [];
    });
    const limits = { isInteger, min, max, divisors: known };
    return this.#given.rules.automaton(JSON.stringify(limits), () =>
      numberAutomaton(limits, this.#place(path)),
    );
  }

  #text(flat: FlatSchema): string | null {
    const { form, rules } = this.#given;
    const { patterns, formats: named, min, max } = flat.text;
    const [open, close, barred] =
      form.text === 'json' ? ['"', '"', ''] : [form.text.open, form.text.close, form.text.barred];
    const kind = form.text === 'json' ? 'json' : 'raw';
    if (max !== null && min > max) return null;
    const isFormed = patterns.length > 0 || named.length > 0;
    const isCounted = min > 0 || max !== null;
    const start = open === '' ? '' : `${literal(open)} `;
    if (!isFormed && (isCounted || barred === '')) {
      // Texts with limits of length have no start of a mark: the product of both would be large.
      const set = barred === '' ? everyCharacter : complement(charactersOf(barred[0]!));
      return start + countedText({ set, min, max }, kind, close, rules);
    }
    const automaton = this.#texts(flat);
    return automaton.length === 0 ? null : start + automatonText(automaton, kind, close, rules);
  }

  /** The strings of a schema that has a pattern, a format, or texts that must not be in them. `anywhere`: with those that a pattern matches in part. */
  #texts(flat: FlatSchema, anywhere = this.#given.isWide ?? false): Automaton {
    const key = JSON.stringify([
      flat.text.patterns,
      flat.text.formats,
      flat.text.min,
      flat.text.max,
      anywhere,
      this.#given.form.text,
    ]);
    return this.#given.rules.automaton(key, () => this.#newTexts(flat, anywhere));
  }

  #newTexts(
    { path, text: { patterns, formats: named, min, max } }: FlatSchema,
    anywhere: boolean,
  ): Automaton {
    const { form, isWide = false } = this.#given;
    const place = this.#place(path);
    const parts: Automaton[] = [];
    for (const { schema, path: at } of patterns)
      parts.push(patternAutomaton(String(schema), this.#place(at), { anywhere }));
    for (const { schema, path: at } of named) {
      const pattern = Object.hasOwn(formats, String(schema)) ? formats[String(schema)] : undefined;
      if (pattern === undefined)
        this.#refuse(
          `the format ${show(schema)}`,
          at,
          `it must be one of ${Object.keys(formats).join(', ')}`,
        );
      else if (!isWide) parts.push(patternAutomaton(pattern, this.#place(at)));
      if (schema === 'hostname') parts.push(textsOfLength(1, MAX_HOST, place));
    }
    if (min > 0 || max !== null || parts.length === 0) parts.push(textsOfLength(min, max, place));
    if (form.text !== 'json') parts.push(textsWithout(form.text.barred, place));
    return parts.reduce((all, each) => intersection(all, each, place));
  }

  /** A value of `enum`, if the rest of the schema allows it. */
  #choice(value: unknown, flat: FlatSchema): string[] {
    const { types, path } = flat;
    const { form } = this.#given;
    if (typeof value === 'string') {
      const { patterns, formats: named, min, max } = flat.text;
      const isPlain = patterns.length === 0 && named.length === 0 && min === 0 && max === null;
      const isFine = isPlain || accepts(this.#texts(flat, true), value);
      const isBarred = form.text !== 'json' && value.includes(form.text.barred);
      return types.has('string') && isFine && !isBarred ? [literal(this.#written(value))] : [];
    }
    if (typeof value === 'number') {
      const { min, max, divisors } = flat.number;
      const isWithin =
        (!min || value > min.value || (value === min.value && !min.isExclusive)) &&
        (!max || value < max.value || (value === max.value && !max.isExclusive)) &&
        divisors.every(({ schema }) => Number.isInteger(value / Number(schema)));
      const isTyped = types.has('number') || (types.has('integer') && Number.isInteger(value));
      return isWithin && isTyped ? [literal(String(value))] : [];
    }
    if (typeof value !== 'object' || value === null) {
      return types.has(value === null ? 'null' : 'boolean') ? [literal(this.#written(value))] : [];
    }
    const type = Array.isArray(value) ? 'array' : 'object';
    if (!types.has(type)) return [];
    const { list, object } = flat;
    if (list.shapes.length + object.shapes.length + object.required.size === 0 && list.min + object.min === 0)
      if (list.max === null && object.max === null) return [literal(this.#written(value))];
    // Its parts follow the rest of the schema.
    const parts: Record<string, unknown> = Array.isArray(value)
      ? { type, prefixItems: value.map((each) => ({ const: each })), items: false, minItems: value.length }
      : {
          type,
          properties: Object.fromEntries(
            Object.entries(value).map(([name, each]) => [name, { const: each }]),
          ),
          required: Object.keys(value),
          additionalProperties: false,
        };
    const [own] = flatSchemas([{ schema: parts, path }], this.options);
    const both: FlatSchema = {
      ...flat,
      values: null,
      list: {
        ...list,
        shapes: [...list.shapes, ...own!.list.shapes],
        min: Math.max(list.min, own!.list.min),
      },
      object: {
        ...object,
        shapes: [...object.shapes, ...own!.object.shapes],
        required: new Set([...object.required, ...own!.object.required]),
      },
    };
    const text = this.#ofType(type, both);
    return text === null ? [] : [text];
  }

  /** A value as the form writes it. */
  #written(value: unknown): string {
    const { form } = this.#given;
    if (typeof value === 'string')
      return form.text === 'json' ? JSON.stringify(value) : form.text.open + value + form.text.close;
    if (typeof value === 'boolean') return value ? form.words.true : form.words.false;
    if (value === null) return form.words.null;
    if (typeof value !== 'object') return String(value);
    const { list, object } = Array.isArray(value)
      ? { list: form.list, object: json.object! }
      : { list: json.list!, object: form.object };
    if (!list || !object) return this.#json().#written(value);
    if (Array.isArray(value))
      return list.open + value.map((each) => this.#written(each)).join(list.separator) + list.close;
    const fields = Object.entries(value).map(
      ([name, each]) => named(name, object) + this.#written(each) + object.end,
    );
    return object.open + fields.join(object.separator) + object.close;
  }

  /** Writes the same schema as JSON. */
  #json(): Writer {
    this.#jsonWriter ??= new Writer({ ...this.#given, form: json });
    return this.#jsonWriter;
  }
  #jsonWriter: Writer | null = null;

  #asJson(flat: FlatSchema, type: Type): string | null {
    return this.#json().#ofType(type, flat);
  }

  #list(
    { list: { shapes, min, max, isUnique }, path }: FlatSchema,
    form: NonNullable<ValueForm['list']>,
  ): string | null {
    const { rules } = this.#given;
    const { open, separator, close } = form;
    if (isUnique && (max ?? 2) > 1)
      this.#refuse(
        "'uniqueItems'",
        path,
        'answers are not guaranteed to follow it; write the items as properties',
      );
    const between = literal(separator);
    const first = Math.max(0, ...shapes.map(({ prefix }) => prefix.length));
    const itemAt = (i: number) => this.value(shapes.flatMap(({ prefix, rest }) => prefix[i] ?? rest ?? []));
    const prefix: string[] = [];
    let most = max ?? Number.POSITIVE_INFINITY;
    for (let i = 0; i < Math.min(first, most); i++) {
      const item = itemAt(i);
      if (item === null) most = i;
      else prefix.push(item);
    }
    const rest = most > first ? itemAt(first) : null;
    if (rest === null) most = Math.min(most, prefix.length);
    if (min > most) return null;
    const more = (count: number): string => {
      const least = Math.max(0, min - count);
      const limit = most === Number.POSITIVE_INFINITY ? '' : most - count;
      return limit === 0 ? '""' : `(${between} ${rest}){${least},${limit}}`;
    };
    /** Grammar after a number of items. */
    let after = first > 0 ? more(prefix.length) : '';
    for (let i = prefix.length - 1; i >= 0; i--) {
      const item = `${i === 0 ? '' : `${between} `}${prefix[i]} ${after}`;
      after = rules.add(i >= min ? `"" | ${item}` : item);
    }
    if (first === 0) {
      const several = most > 0 ? `${rest} ${more(1)}` : '""';
      after = rules.add(min === 0 && most > 0 ? `"" | ${several}` : several);
    }
    return rules.add(`${literal(open)} ${after} ${literal(close)}`);
  }

  /** The fields of an object without its brackets; null if there is no such object. */
  fields(flat: FlatSchema, form: FieldForm): string | null {
    const { rules } = this.#given;
    const { shapes, required, min, max } = flat.object;
    const rests = shapes.flatMap(({ rest }) => rest ?? []);
    const declared = new Set(shapes.flatMap(({ properties }) => [...properties.keys()]));
    const names = [...new Set([...declared, ...required])];
    const fields: Field[] = [];
    for (const name of names) {
      const value = this.value(shapes.flatMap(({ properties, rest }) => properties.get(name) ?? rest ?? []));
      const isRequired = required.has(name);
      if (value === null && isRequired) return null;
      if (value !== null)
        fields.push({
          isRequired,
          text: rules.add(`${literal(named(name, form))} ${value} ${literal(form.end)}`),
        });
    }
    const isOpen = rests.length > 0 || names.length === 0;
    const other = isOpen ? this.#others(new Set(names), rests, form) : null;
    // Values of tools keep the order that templates show: what they need first.
    if (form.name === 'raw') fields.sort((a, b) => Number(b.isRequired) - Number(a.isRequired));
    if (other !== null && min > fields.length && min > 1)
      this.#refuse(
        "'minProperties'",
        flat.path,
        `it must be at most the number of 'properties', ${fields.length}, as others may repeat`,
      );
    const least = other === null ? min : Math.min(min, Math.max(1, fields.length));
    return new FieldsText(fields, { other, min: least, max }, literal(form.separator), rules).text;
  }

  /** A field with a name that is not declared. */
  #others(names: ReadonlySet<string>, rests: readonly SchemaPart[], form: FieldForm): string | null {
    const { rules } = this.#given;
    const value = this.value(rests);
    if (value === null) return null;
    const after = `${literal(form.assign)} ${value} ${literal(form.end)}`;
    const place = this.#place('');
    if (names.size === 0 && form.name === 'json')
      return rules.add(
        `"\\"" ${countedText({ set: everyCharacter, min: 0, max: null }, 'json', '"', rules)} ${after}`,
      );
    const allowed = patternAutomaton(form.name === 'json' ? '[^]+' : '[A-Za-z_]\\w*', place);
    const key = names.size === 0 ? allowed : intersection(allowed, besides(names, place), place);
    if (key.length === 0) return null;
    return rules.add(
      form.name === 'json'
        ? `"\\"" ${automatonText(key, 'json', '"', rules)} ${after}`
        : `${literal(form.before)} ${automatonText(key, 'raw', '', rules)} ${after}`,
    );
  }
}

/** Maximum length of a host's name: its labels cannot be longer then, and each further character takes time to prepare. */
const MAX_HOST = 63;

interface Field {
  isRequired: boolean;
  text: string;
}

/** The fields of an object in order, and others after them; each with or without a separator before, and with a number of fields so far. */
class FieldsText {
  readonly #fields: readonly Field[];
  readonly #limits: { other: string | null; min: number; max: number | null };
  readonly #separator: string;
  readonly #rules: GrammarRules;
  readonly #known = new Map<string, string | null>();

  constructor(
    fields: readonly Field[],
    limits: { other: string | null; min: number; max: number | null },
    separator: string,
    rules: GrammarRules,
  ) {
    this.#fields = fields;
    this.#limits = limits;
    this.#separator = separator;
    this.#rules = rules;
  }

  get text(): string | null {
    return this.#from(0, 0);
  }

  /** The fields from one on after `count` others, as far as counts matter; null if there are none. */
  #from(i: number, count: number): string | null {
    const { other, min, max } = this.#limits;
    const most = max ?? Number.POSITIVE_INFINITY;
    const known = this.#known.get(`${i} ${count}`);
    if (known !== undefined) return known;
    const before = count === 0 ? '' : `${this.#separator} `;
    const texts: string[] = [];
    const field = this.#fields[i];
    if (field) {
      // Counts beyond both limits are alike.
      const next =
        count < most
          ? this.#from(i + 1, max === null ? Math.min(count + 1, Math.max(1, min)) : count + 1)
          : null;
      if (next !== null) texts.push(`${before}${field.text} ${next}`);
      const without = field.isRequired ? null : this.#from(i + 1, count);
      if (without !== null) texts.push(without);
    } else {
      if (count >= min) texts.push('""');
      // Others may have one name, and so count as one.
      if (other !== null && count < most && count + 1 >= min)
        texts.push(
          `${before}${other} (${this.#separator} ${other}){0,${max === null ? '' : max - count - 1}}`,
        );
    }
    const text =
      texts.length === 0
        ? null
        : texts.length === 1 && texts[0] === '""'
          ? '""'
          : this.#rules.add(texts.join(' | '));
    this.#known.set(`${i} ${count}`, text);
    return text;
  }
}

const named = (name: string, form: FieldForm): string =>
  form.before + (form.name === 'json' ? JSON.stringify(name) : name) + form.assign;

const either = (texts: readonly string[]): string =>
  texts.length === 1 ? texts[0]! : `(${texts.join(' | ')})`;

/** States of undeclared names: each takes as long to prepare as a string. */
const MAX_NAME_STATES = 4;

/** Names that are none of the declared ones. If these are many, others differ from them in their first characters. */
function besides(names: ReadonlySet<string>, place: Place): Automaton {
  const startsOf = (depth: number) =>
    new Set(
      [...names].flatMap((name) =>
        Array.from({ length: Math.min(depth, name.length) }, (_, i) => name.slice(0, i)),
      ),
    );
  const longest = Math.max(...[...names].map((name) => name.length), 1);
  let depth = 1;
  while (depth < longest && startsOf(depth + 1).size <= MAX_NAME_STATES) depth++;
  return textsBesides(names, depth, place);
}
