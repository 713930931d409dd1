import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerSchemaFault } from './answer-schema.ts';

const object = (properties: object) => ({ type: 'object', properties, required: Object.keys(properties) });
const deep = (levels: number): Record<string, unknown> =>
  levels === 0 ? { type: 'integer' } : { type: 'array', items: deep(levels - 1) };

test('schemas that answers can follow', () => {
  for (const schema of [
    true,
    {},
    { type: 'object', properties: { not: { type: 'string' }, $ref: { enum: [1] } }, required: ['not'] },
    { $defs: { n: { type: 'object', properties: { next: { $ref: '#/$defs/n' } } } }, $ref: '#/$defs/n' },
    { type: 'array', items: { $ref: '#' }, minItems: 1, maxItems: 3 },
    { enum: ['not', { oneOf: 1 }], description: 'x' },
    deep(30),
  ])
    assert.equal(answerSchemaFault(schema, { strict: true }), null, JSON.stringify(schema));
  for (const loose of [{ oneOf: [{}, { type: 'string' }] }, { type: 'number', multipleOf: 0.3 }, { not: {} }])
    assert.equal(answerSchemaFault(loose), null);
});

test('each fault names its place', () => {
  const strict: [schema: unknown, fault: RegExp][] = [
    [{ properties: { a: { not: {} } } }, /"not" at properties\.a/],
    [
      { anyOf: [{}, { type: 'integer', multipleOf: 0.3 }] },
      /'multipleOf' 0\.3 at anyOf\[1\] with 'strict': it must be a whole/,
    ],
    [
      { items: { type: 'string', format: 'iri' } },
      /the format "iri" at items with 'strict': it must be one of date, /,
    ],
    [
      { oneOf: [{ type: 'integer' }, { type: 'number' }] },
      /'oneOf' with 'strict': .* both "oneOf\[0\]" and "oneOf\[1\]"/,
    ],
    // A pattern matches anywhere in a string, so that "ab" may follow both.
    [
      {
        oneOf: [
          { type: 'string', pattern: '^a' },
          { type: 'string', pattern: 'b$' },
        ],
      },
      /must not have 'oneOf'/,
    ],
    [
      { type: 'object', properties: { a: true }, additionalProperties: true, minProperties: 2 },
      /'minProperties' with 'strict': it must be at most the number of 'properties', 1/,
    ],
  ];
  for (const [schema, fault] of strict)
    assert.match(answerSchemaFault(schema, { strict: true }) ?? '', fault);
  const always: [schema: unknown, fault: RegExp][] = [
    [7, /must be a JSON schema, got 7/],
    [{ items: 7 }, /a JSON schema at items, got 7/],
    [{ properties: [] }, /an object as properties/],
    [false, /must allow a value: no value follows all of it/],
    [object({ a: false }), /must allow a value/],
    [{ type: 'string', minLength: 3, maxLength: 2 }, /must allow a value/],
    [{ type: 'integer', minimum: 1.2, maximum: 1.8 }, /must allow a value/],
    [{ allOf: [{ const: 1 }, { enum: [2, 3] }] }, /must allow a value/],
    [{ type: 'number', minimum: 1e20 }, /limits of numbers that are below 10\^15, got 100000000000000000000/],
    [{ type: 'text' }, /a type among integer, string, .*, got "text"/],
    [{ required: 'a' }, /a list of names as 'required'/],
    [{ items: [{}] }, /a schema as items, .* use 'prefixItems' for a list/],
    [{ anyOf: {} }, /a list of schemas as anyOf/],
    [{ minimum: '3' }, /a number as minimum, got "3"/],
    [
      { allOf: Array.from({ length: 11 }, () => ({ anyOf: [{ type: 'string' }, { type: 'null' }] })) },
      /at most 1000 combinations of alternatives at allOf\[0\], got 2048/,
    ],
    [{ $ref: 'https://example.com/a' }, /references within the schema only/],
    [{ $ref: '#/$defs/a' }, /what \$ref "#\/\$defs\/a" refers to/],
    [{ $ref: '#/__proto__' }, /refers to/],
    [{ enum: [] }, /at least one value/],
    [{ anyOf: [{ enum: Array(600).fill(1) }, { enum: Array(600).fill(1) }] }, /at most 1000 values/],
    [
      { properties: Object.fromEntries(Array.from({ length: 501 }, (_, i) => [`p${i}`, {}])) },
      /500 properties/,
    ],
    [{ type: 'string', pattern: 'a'.repeat(513) }, /512 characters/],
    [{ properties: { a: { pattern: '(' } } }, /a regular expression as pattern at properties\.a, got "\("/],
    [{ pattern: '^(?=a)b' }, /a pattern without look-around, got/],
    [{ pattern: '(a)\\1' }, /without back references/],
    [{ pattern: '\\bword' }, /without word borders/],
    [{ pattern: '^\\p{L}$' }, /without properties of characters/],
    [{ $ref: '#/hidden', hidden: { type: 'null' } }, /a schema where \$ref "#\/hidden" leads/],
    [{ $ref: '#/enum/0', enum: [{ type: 'null' }] }, /a schema where \$ref "#\/enum\/0" leads/],
    [
      { anyOf: [{ pattern: 'a{1000}' }, { pattern: '(b{90}c){90}' }] },
      /at most 4096 states each, .* exceeded at anyOf\[1\]/,
    ],
    [{ pattern: '(.?.?a){30}.*b.{40}' }, /4096 states each|must be simpler/],
    [{ type: 'string', maxLength: 5000 }, /maxLength from 0 to 4096, got 5000/],
    [{ type: 'array', maxItems: -1 }, /maxItems from 0/],
    [{ description: 'x'.repeat(70_000) }, /65536 characters of JSON/],
    [deep(32), /nest at most 32 deep/],
  ];
  for (const [schema, fault] of always)
    assert.match(answerSchemaFault(schema) ?? '', fault, JSON.stringify(schema).slice(0, 80));
});
