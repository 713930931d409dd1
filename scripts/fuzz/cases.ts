/** Random cases of what a team brings: templates, schemas, patterns and data files. A seed always gives the same case. */
import { parquetWriteBuffer } from 'hyparquet-writer';
import type { Random } from '../../packages/peft-core/src/random.ts';

export const kinds = ['template', 'schema', 'pattern', 'parquet', 'rows'] as const;
export type Kind = (typeof kinds)[number];
export type Case =
  | { kind: 'template'; text: string }
  | { kind: 'pattern'; text: string }
  | { kind: 'schema'; schema: object }
  | { kind: 'parquet'; bytes: Uint8Array }
  | { kind: 'rows'; bytes: Uint8Array };

export function caseOf(kind: Kind, random: Random): Case {
  const draw = new Draw(random);
  if (kind === 'template') return { kind, text: templateOf(draw) };
  if (kind === 'pattern') return { kind, text: patternOf(draw, 4) };
  if (kind === 'schema') return { kind, schema: schemaOf(draw, 3) };
  return { kind, bytes: kind === 'rows' ? rowsOf(draw) : parquetOf(draw) };
}

export class Draw {
  readonly #random: Random;
  constructor(random: Random) {
    this.#random = random;
  }
  number = (bound: number): number => this.#random.integer(bound);
  one = <T>(all: readonly T[]): T => all[this.number(all.length)]!;
  /** Calls one of the functions. */
  from = <T>(all: readonly (() => T)[]): T => this.one(all)();
  many = <T>(most: number, make: () => T): T[] => Array.from({ length: this.number(most + 1) }, make);
  /** Small numbers mostly, and sometimes one at a limit. */
  size = (): number =>
    this.number(6) === 0 ? this.one([0, 255, 65_536, 1e6, 2 ** 31, 2 ** 53]) : this.number(12);
}

const filters =
  'abs,capitalize,count,dictsort,first,float,indent(4),int,items,join(","),last,length,list,lower,map("upper"),map(attribute="role"),reject,replace("a",x),reverse,round,select,selectattr("role"),sort,string,sum,title,tojson,tojson(indent=4),trim,unique,upper'.split(
    ',',
  );
const binary = '+ - * / // % ** ~ == != < <= > >= in and or'.split(' ').concat('not in');
const methods = [
  'split(x)',
  'strip()',
  'startswith("a")',
  'replace("a", y)',
  'items()',
  'get("a", x)',
  'upper()',
  'rstrip(x)',
  'endswith(x)',
  'count("a")',
  'find(x)',
  'join(y)',
];

function templateOf(d: Draw): string {
  const double = d.number(3) === 0 ? `{% set x = [x, x] %}`.repeat(d.number(60)) : '';
  const before = `{% set x = ${expression(d, 2)} %}{% set y = ${expression(d, 2)} %}{% set ns = namespace(a=x) %}`;
  return `${before}${double}${d.many(6, () => statement(d, 3)).join('')}`;
}

function statement(d: Draw, depth: number): string {
  const e = () => expression(d, 3);
  const body = () => (depth > 0 ? d.many(3, () => statement(d, depth - 1)).join('') : '{{ x }}');
  return d.from([
    () => `{{ ${e()} }}`,
    () => `{% set ${d.one(['x', 'y', 'ns.a'])} = ${e()} %}`,
    () => `{% set x = [x, y] %}`,
    () => `{% for i in ${d.one(['messages', `range(${d.size()})`, 'x'])} %}${body()}{% endfor %}`,
    () => `{% if ${e()} %}${body()}{% else %}${body()}{% endif %}`,
    () => `{% set x %}${body()}{% endset %}`,
    () => `{% macro m(a, b=${e()}) %}${body()}{% endmacro %}{{ m(x) }}`,
    () => `{% filter ${d.one(filters)} %}${body()}{% endfilter %}`,
    () => `{% generation %}${body()}{% endgeneration %}`,
    () => `{{ raise_exception(${e()}) }}`,
  ]);
}

function expression(d: Draw, depth: number): string {
  const names = [
    'x',
    'y',
    'ns.a',
    'messages',
    'messages[0].content',
    'tools',
    'true',
    'none',
    '"a"',
    '""',
    '7',
    '-2',
    '1.5',
    'nothing',
  ];
  if (depth === 0) return d.one(names);
  const e = () => expression(d, depth - 1);
  return d.from([
    () => d.one(names),
    () => `[${d.many(3, e).join(', ')}]`,
    () => `{'a': ${e()}, 'b': ${e()}}`,
    () => `(${e()} ${d.one(binary)} ${e()})`,
    () => `(not ${e()})`,
    () => `(${e()} | ${d.one(filters)})`,
    () =>
      `(${e()} is ${d.one(['string', 'mapping', 'iterable', 'number', 'defined', 'none', 'even', 'eq(x)', 'in(y)'])})`,
    () => `${d.one(['x', 'y', 'messages'])}[${e()}]`,
    () => `${d.one(['x', 'y'])}[${d.number(3)}:${d.size()}]`,
    () => `${d.one(['x', 'y', '"abc"'])}.${d.one(methods)}`,
    () => `(${e()} if ${e()} else ${e()})`,
    () => `range(${d.size()})`,
    () => `("a" * ${d.size()})`,
  ]);
}

export function patternOf(d: Draw, depth: number): string {
  const atom = (): string =>
    d.from([
      () =>
        d.one([
          'a',
          '.',
          '\\d',
          '\\w',
          '[a-z ]',
          '[^"]',
          '\\.',
          '^',
          '$',
          'q_proj',
          '\\b',
          '(?=a)',
          '\\1',
          '[',
          ')',
          '\\',
        ]),
      () => (depth > 0 ? `(${patternOf(d, depth - 1)})` : 'b'),
      () => (depth > 0 ? `(?:${patternOf(d, depth - 1)}|${patternOf(d, depth - 1)})` : 'c'),
    ]);
  const count = () =>
    d.one(['', '', '', '*', '+', '?', '*?', `{${d.size()}}`, `{0,${d.size()}}`, `{${d.number(4)},}`]);
  return d.many(4, () => atom() + count()).join('') || 'a';
}

function schemaOf(d: Draw, depth: number): Record<string, unknown> {
  const inner = () => (depth > 0 ? schemaOf(d, depth - 1) : {});
  const some = () => d.many(3, inner);
  return d.from<Record<string, unknown>>([
    () => ({
      type: d.one([
        'string',
        'number',
        'integer',
        'boolean',
        'null',
        'object',
        'array',
        'odd',
        ['string', 'null'],
      ]),
    }),
    () => ({ type: 'string', pattern: patternOf(d, 3) }),
    () => ({
      type: 'string',
      minLength: d.size(),
      maxLength: d.size(),
      format: d.one(['date', 'email', 'uuid', 'odd']),
    }),
    () => ({ type: 'array', items: inner(), minItems: d.size(), maxItems: d.size() }),
    () => ({ enum: d.many(20, () => d.one<unknown>(['a', 1, null, true, { a: [1] }, 'b"\\'])) }),
    () => ({ const: d.one<unknown>(['a', 1e300, null, { a: 1 }]) }),
    () => ({ anyOf: some() }),
    () => ({ oneOf: some(), allOf: some() }),
    () => ({
      type: 'object',
      properties: Object.fromEntries(d.many(4, () => [d.one(['a', 'b', '', 'ü"', '__proto__']), inner()])),
      required: d.many(3, () => d.one(['a', 'b', 'c'])),
      additionalProperties: d.one([true, false, inner()]),
    }),
    () => ({ type: 'object', patternProperties: { [patternOf(d, 2)]: inner() } }),
    () => ({ $ref: d.one(['#', '#/$defs/a', '#/nothing', 'https://example.com/a']), $defs: { a: inner() } }),
    () => ({ type: 'integer', minimum: d.size(), maximum: d.size(), multipleOf: d.number(3) }),
  ]);
}

function rowsOf(d: Draw): Uint8Array {
  const value = (depth: number): unknown =>
    d.from<unknown>([
      () => d.one(['a', '', '\u0000', '\ud800', 'ü'.repeat(40), '=1+1', 'null']),
      () => d.one([0, -1, 1e300, 2 ** 53, true, false, null]),
      () => (depth > 0 ? d.many(3, () => value(depth - 1)) : []),
      () => (depth > 0 ? { role: d.one(['user', 'assistant', 'tool', 7]), content: value(depth - 1) } : {}),
    ]);
  const names = [
    'prompt',
    'completion',
    'messages',
    'text',
    'chosen',
    'rejected',
    'label',
    'tools',
    '__proto__',
    'odd',
  ];
  const row = () => Object.fromEntries(d.many(4, () => [d.one(names), value(3)]));
  const deep = `${'['.repeat(d.size() % 100_000)}`;
  const lines = d.many(12, () =>
    d.from([
      () => JSON.stringify(row()),
      () => JSON.stringify({ prompt: 'a', completion: 'b' }),
      () =>
        JSON.stringify({
          messages: [
            { role: 'user', content: 'a' },
            { role: 'assistant', content: 'b' },
          ],
        }),
      () => `{"prompt": "a", "prompt": ${d.size()}, "completion": ${deep}`,
      () =>
        d.one([
          '',
          '{',
          'prompt,completion',
          '"a","b',
          'a;b',
          '\ufeff{"text": "a"}',
          '[1]',
          '{"text": "a"} x',
        ]),
    ]),
  );
  const text = d.from([
    () => lines.join(d.one(['\n', '\r\n', '\r'])),
    () => `[${lines.join(',')}]`,
    () => `prompt,completion\n${lines.map((line) => `${JSON.stringify(line)},b`).join('\n')}`,
  ]);
  return mutated(d, Buffer.from(text), d.number(3));
}

function parquetOf(d: Draw): Uint8Array {
  const data = Array.from({ length: 1 + d.number(40) }, (_, i) => `value ${i}`);
  const columnData = ['prompt', 'completion'].map((name) => ({ name, data }));
  return mutated(d, Buffer.from(parquetWriteBuffer({ columnData })), 1 + d.number(6));
}

/** The bytes with some of them changed, left out or repeated; most changes are near the end, where a footer is. */
function mutated(d: Draw, bytes: Buffer, changes: number): Uint8Array {
  let all = Buffer.from(bytes);
  for (let i = 0; i < changes && all.length > 0; i++) {
    const at = d.number(2) === 0 ? d.number(all.length) : Math.max(0, all.length - 1 - d.number(200));
    const length = d.number(16);
    all = d.from([
      () => all.fill(d.number(256), at, at + 1),
      () => Buffer.concat([all.subarray(0, at), all.subarray(at + length)]),
      () => Buffer.concat([all.subarray(0, at + length), all.subarray(at)]),
      () => all.fill(d.one([0, 0x7f, 0x80, 0xff]), at, Math.min(all.length, at + length)),
      () => all.subarray(0, at),
    ]);
  }
  return new Uint8Array(all);
}
