/** Random schemas, and random answers that their masks allow: each answer that ends is JSON, and ajv finds it valid. */
import { grammarText } from '../../packages/peft-core/src/generate/constrained/grammar-text.ts';
import { ByteGrammar } from '../../packages/peft-core/src/generate/constrained/testing/byte-grammar.ts';
import { validatorOf } from '../../packages/peft-core/src/generate/constrained/testing/validator.ts';
import { Random } from '../../packages/peft-core/src/random.ts';
import { answerSchemaFault } from '../../packages/peft-core/src/schema/answers/answer-schema.ts';
import { formats } from '../../packages/peft-core/src/schema/answers/formats.ts';
import { Draw, patternOf } from './cases.ts';

export interface Walks {
  /** Answers that ended, all of which were checked. */
  answers: number;
  /** Answers that did not end in time, and schemas that `strict` refuses. */
  unfinished: number;
  refused: number;
  /** Commands that repeat each invalid answer. */
  faults: string[];
}

/** Tokens of an answer, and answers for each schema. */
const MOST_TOKENS = 600;
const ANSWERS = 5;

/** Random answers until `count` have ended; the same for a seed. */
export async function walkAnswers(seed: number, count: number): Promise<Walks> {
  const walks: Walks = { answers: 0, unfinished: 0, refused: 0, faults: [] };
  for (let number = 0; walks.answers < count; number++) {
    const random = new Random(seed, 'test', number);
    const schema = { $defs, ...schemaOf(new Draw(random), 3) };
    if (answerSchemaFault(schema, { strict: true }) !== null) {
      walks.refused += 1;
      continue;
    }
    const fault = (what: string) =>
      walks.faults.push(`seed ${seed}, schema ${number}: ${what}\n  ${JSON.stringify(schema)}`);
    const isValid = validatorOf(schema);
    let grammar: ByteGrammar | null = null;
    try {
      grammar = await ByteGrammar.compile(grammarText({ type: 'json_schema', json_schema: schema }));
      for (let i = 0; i < ANSWERS; i++) {
        const bytes = await grammar.walk(random, MOST_TOKENS);
        if (bytes === null) {
          walks.unfinished += 1;
          continue;
        }
        walks.answers += 1;
        const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
        if (!isValid(text)) fault(`answers ${text}`);
      }
    } catch (error) {
      fault(String(error));
      // The library is of no use after a failure.
      if (error instanceof Error && error.name === 'RuntimeError') return walks;
    } finally {
      grammar?.close();
    }
  }
  return walks;
}

const patterns = [
  '^[a-c]{2,5}$',
  '^.*$',
  '[0-9]+',
  '^[^"a]{1,4}$',
  '^(ab|c)*$',
  '^[à-ÿ一-三]+$',
  '^\\s?\\S+$',
  '^\\w+@x$',
  '^[\\u0000-\\uffff]{2}$',
  '^(\\\\|"|\\n){1,3}$',
];
/** A random pattern that ajv reads, too. */
function readablePattern(d: Draw): string {
  for (;;)
    try {
      const pattern = patternOf(d, 2);
      new RegExp(pattern, 'u');
      return pattern;
    } catch {
      // Another one.
    }
}

const $defs = {
  list: { type: 'object', properties: { a: { $ref: '#/$defs/list' }, b: { type: 'integer' } } },
};
const names = ['a', 'b', 'ab', 'é', 'x"y'];

/** A schema of the keywords that answers follow. */
function schemaOf(d: Draw, depth: number): Record<string, unknown> {
  const maybe = (keyword: string, value: () => unknown) => (d.number(3) === 0 ? { [keyword]: value() } : {});
  const inner = () => (depth > 0 ? schemaOf(d, depth - 1) : { type: 'boolean' });
  const some = () => [inner(), ...d.many(2, inner)];
  const limit = () =>
    d.one([0, 1, -1, 7, -40, 99.5, 0.1, -2.25, 1000, 123456, 0.30000000000000004, 1e-7, 9007199254740991]);
  const value = (): unknown =>
    d.one<unknown>(['a', 'b"\\', 'é', '', 1, -2.5, null, true, [1, 'a'], { a: 1 }, [], {}]);
  const number = (type: string) => ({
    type,
    ...maybe('minimum', limit),
    ...maybe('maximum', limit),
    ...maybe('exclusiveMinimum', limit),
    ...maybe('exclusiveMaximum', limit),
    ...maybe('multipleOf', () => d.one([1, 2, 7, 10, 100, 0.01, 0.5])),
  });
  const properties = () => Object.fromEntries(d.many(4, () => [d.one(names), inner()]));
  const object = () => ({
    type: 'object',
    properties: properties(),
    required: [...new Set(d.many(2, () => d.one(names)))],
    ...maybe('additionalProperties', () => d.one([true, false, inner()])),
    ...maybe('minProperties', () => d.number(3)),
    ...maybe('maxProperties', () => d.number(5)),
  });
  return d.from<Record<string, unknown>>([
    () => ({ type: d.one<unknown>(['string', 'number', 'integer', 'boolean', 'null', ['string', 'null']]) }),
    () => number('integer'),
    () => number('number'),
    () => ({
      type: 'string',
      ...maybe('minLength', () => d.number(6)),
      ...maybe('maxLength', () => d.one([3, 8, 70, 100])),
      ...maybe('pattern', () => (d.number(2) === 0 ? d.one(patterns) : readablePattern(d))),
    }),
    () => ({ type: 'string', format: d.one(Object.keys(formats)), ...maybe('maxLength', () => 30) }),
    () => ({
      enum: [value(), ...d.many(4, value)],
      ...maybe('type', () => d.one(['string', 'array', 'number'])),
    }),
    () => ({ const: value() }),
    () => ({
      type: 'array',
      ...maybe('items', inner),
      ...maybe('prefixItems', some),
      ...maybe('minItems', () => d.number(3)),
      ...maybe('maxItems', () => d.number(5)),
    }),
    object,
    object,
    () => ({ ...object(), anyOf: [{ required: [d.one(names)] }, object()] }),
    () => ({ anyOf: some(), ...maybe('description', () => 'text') }),
    () => ({ oneOf: some() }),
    () => ({ allOf: [object(), object()] }),
    () => ({ allOf: [number('number'), number('integer')] }),
    () => ({ $ref: '#/$defs/list', ...maybe('required', () => ['b']) }),
  ]);
}
