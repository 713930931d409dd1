/** Each keyword of JSON Schema as its row says, by the grammar and by ajv. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { test } from 'node:test';
import { answerSchemaFault } from '../../schema/answers/answer-schema.ts';
import { keywordLines, keywordTable } from '../../schema/answers/testing/keyword-table.ts';
import { grammarText } from './grammar-text.ts';
import { ByteGrammar } from './testing/byte-grammar.ts';
import { validatorOf } from './testing/validator.ts';

const repository = path.join(import.meta.dirname, '../../../../..');

test('the table has every keyword of the draft, and the documentation has the table', () => {
  const load = createRequire(import.meta.url);
  const vocabularies = [
    'applicator',
    'content',
    'core',
    'format-annotation',
    'meta-data',
    'unevaluated',
    'validation',
  ];
  const keywords = vocabularies.flatMap((name) => {
    const { properties } = load(`ajv/dist/refs/json-schema-2020-12/meta/${name}.json`) as {
      properties: object;
    };
    return Object.keys(properties);
  });
  assert.deepEqual(keywordTable.flatMap((row) => row.keywords).sort(), keywords.sort());
  const docs = readFileSync(path.join(repository, 'docs/tools.md'), 'utf8');
  assert.ok(docs.includes(keywordLines()), `docs/tools.md must have this table:\n${keywordLines()}`);
});

for (const { keywords, status, examples } of keywordTable)
  test(`${keywords.join(', ')}: ${status}`, async () => {
    for (const { schema, accepted, refused = [], narrowed = [] } of examples) {
      const what = JSON.stringify(schema);
      if (!accepted) {
        const [keyword] = Object.keys(schema as object).filter((each) => keywords.includes(each));
        assert.match(
          answerSchemaFault(schema, { strict: true }) ?? '',
          new RegExp(`must not have ["'].?${keyword!.replace('$', '')}`),
          what,
        );
        assert.equal(answerSchemaFault(schema), null, what);
        continue;
      }
      assert.equal(answerSchemaFault(schema, { strict: true }), null, what);
      const grammar = await ByteGrammar.compile(
        grammarText({ type: 'json_schema', json_schema: schema as never }),
      );
      const isValid = validatorOf(schema);
      try {
        for (const [texts, isAnswer, isAllowed] of [
          [accepted, true, true],
          [refused, false, false],
          [narrowed, false, true],
        ] as const)
          for (const text of texts) {
            assert.equal(await grammar.accepts(text), isAnswer, `the grammar of ${what}: ${text}`);
            assert.equal(isValid(text), isAllowed, `ajv with ${what}: ${text}`);
          }
      } finally {
        grammar.close();
      }
    }
  });

test('bytes that are no UTF-8 are in no string', async () => {
  for (const schema of [
    { type: 'string' },
    { type: 'string', pattern: '^[^a]*$' },
    { type: 'string', maxLength: 9 },
    {},
  ]) {
    const grammar = await ByteGrammar.compile(grammarText({ type: 'json_schema', json_schema: schema }));
    for (const bytes of [
      [0x80],
      [0xc3],
      [0xc0, 0x80],
      [0xe0, 0x80, 0x80],
      [0xed, 0xa0, 0x80],
      [0xf4, 0x90, 0x80, 0x80],
      [0xff],
    ])
      assert.equal(
        await grammar.accepts(Uint8Array.from([34, ...bytes, 34])),
        false,
        `${JSON.stringify(schema)} ${bytes}`,
      );
    grammar.close();
  }
});
