import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerSchemaFault } from './answer-schema.ts';

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
  for (const loose of [{ oneOf: [{ type: 'string' }] }, { type: 'integer', multipleOf: 5 }, { not: {} }])
    assert.equal(answerSchemaFault(loose), null);
});

test('each fault names its place', () => {
  const strict: [schema: unknown, fault: RegExp][] = [
    [{ properties: { a: { not: {} } } }, /"not" at properties\.a/],
    [{ anyOf: [{}, { type: 'integer', multipleOf: 5 }] }, /"multipleOf" at anyOf\[1\]/],
    [{ type: 'string', pattern: 'a', maxLength: 3 }, /both 'pattern' and 'maxLength'/],
    [{ type: 'integer', exclusiveMinimum: 3 }, /"exclusiveMinimum"/],
  ];
  for (const [schema, fault] of strict)
    assert.match(answerSchemaFault(schema, { strict: true }) ?? '', fault);
  const always: [schema: unknown, fault: RegExp][] = [
    [7, /must be a JSON schema, got 7/],
    [{ items: 7 }, /a JSON schema at items, got 7/],
    [{ properties: [] }, /an object as properties/],
    [{ properties: { a: false } }, /schema false at properties\.a/],
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
    [
      { properties: { a: { items: { pattern: '^(([a-z ]*[a-z ]*)*)*$' } } } },
      /repeat a repetition .* "\(\[a-z \]\*\[a-z \]\*\)\*" in the pattern at properties\.a\.items does/,
    ],
    [{ patternProperties: { '(a+)+': {} } }, /in the pattern of patternProperties/],
    [{ propertyNames: { pattern: '(a+)+' } }, /in the pattern at propertyNames/],
    [{ $defs: { n: { unevaluatedItems: { pattern: '(a+)+' } } } }, /at \$defs\.n\.unevaluatedItems/],
    [{ $ref: '#/hidden', hidden: { pattern: '(a+)+' } }, /a schema where \$ref "#\/hidden" leads/],
    [{ $ref: '#/enum/0', enum: [{ pattern: '(a+)+' }] }, /a schema where \$ref "#\/enum\/0" leads/],
    [
      { anyOf: [{ pattern: 'a{1000}' }, { pattern: '(b{40}c){40}' }] },
      /at most 4096 states in all, .* exceeded at anyOf\[1\]/,
    ],
    [{ type: 'string', maxLength: 5000 }, /maxLength from 0 to 4096, got 5000/],
    [{ type: 'array', maxItems: -1 }, /maxItems from 0/],
    [{ description: 'x'.repeat(70_000) }, /65536 characters of JSON/],
    [deep(32), /nest at most 32 deep/],
  ];
  for (const [schema, fault] of always)
    assert.match(answerSchemaFault(schema) ?? '', fault, JSON.stringify(schema).slice(0, 80));
});
