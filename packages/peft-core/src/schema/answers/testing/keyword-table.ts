/** Every keyword of JSON Schema (draft 2020-12), and what answers do with it. docs/tools.md has the same table. */
export interface KeywordRow {
  /** Keywords that answers treat alike. */
  keywords: readonly string[];
  /** Treatment by answers: they follow it exactly, follow more than it, refuse it with `strict`, or it allows all values. */
  status: 'followed' | 'narrowed' | 'refused' | 'note';
  /** For the documentation. */
  note: string;
  examples: readonly KeywordExample[];
}

export interface KeywordExample {
  schema: unknown;
  /** Texts of answers. All others in an example are none. */
  accepted?: readonly string[];
  /** Texts that the schema refuses. */
  refused?: readonly string[];
  /** Texts that the schema allows. */
  narrowed?: readonly string[];
}

const object = (properties: object, required: readonly string[] = Object.keys(properties)) => ({
  type: 'object',
  properties,
  required,
});
const refused = (keyword: string, value: unknown, type = 'object'): KeywordExample => ({
  schema: { type, [keyword]: value },
});

export const keywordTable: readonly KeywordRow[] = [
  {
    keywords: ['type'],
    status: 'narrowed',
    note: 'integers have no fraction. Without `type`, keywords of one type allow only its values',
    examples: [
      {
        schema: { type: 'integer' },
        accepted: ['0', '-12', '123456789012'],
        refused: ['1.5', '"1"', 'null'],
        narrowed: ['1.0', '1e2'],
      },
      {
        schema: { type: 'number' },
        accepted: ['1.50', '-0.1e-7', '12'],
        refused: ['01', '.5', '1.', '"1"', '+1'],
        narrowed: ['1e999'],
      },
      { schema: { type: ['string', 'null'] }, accepted: ['null', '"a"'], refused: ['1', 'true'] },
      { schema: { type: 'boolean' }, accepted: ['true', 'false'], refused: ['null', 'True'] },
      {
        schema: { type: 'string' },
        accepted: ['""', '"é😀\\n\\"\\\\ \\u00e9 \\ud83d\\ude00"'],
        refused: ['"a"b"', '"\n"', '"\t"', '"\\x"', '"a'],
        narrowed: ['"\\ud83d"'],
      },
      { schema: { minLength: 2 }, accepted: ['"ab"'], refused: ['"a"'], narrowed: ['1'] },
    ],
  },
  {
    keywords: ['enum', 'const'],
    status: 'followed',
    note: 'any values, with those that the rest of the schema allows',
    examples: [
      {
        schema: { enum: ['a"b', 1, 1.5, null, true, [1, 'x'], { a: 'ü' }] },
        accepted: ['"a\\"b"', '1', '1.5', 'null', 'true', '[1, "x"]', '{"a": "ü"}'],
        refused: ['2', '"a"', '[1]', 'false'],
      },
      {
        schema: { type: 'string', enum: ['ab', 'abc', 1], maxLength: 2 },
        accepted: ['"ab"'],
        refused: ['"abc"', '1'],
      },
      {
        schema: { type: 'array', enum: [[1, 2], [1]], items: { maximum: 1 } },
        accepted: ['[1]'],
        refused: ['[1, 2]'],
      },
      { schema: { const: { a: [null] } }, accepted: ['{"a": [null]}'], refused: ['{}'] },
    ],
  },
  {
    keywords: ['minLength', 'maxLength'],
    status: 'followed',
    note: 'count characters of the value: an escape is one',
    examples: [
      {
        schema: { type: 'string', minLength: 2, maxLength: 3 },
        accepted: ['"ab"', '"\\n\\"\\u00e9"', '"😀😀😀"', '"\\ud83d\\ude00a"'],
        refused: ['"a"', '"abcd"', '"\\n"', '"😀"'],
      },
      {
        schema: { type: 'string', minLength: 70 },
        accepted: [`"${'a'.repeat(70)}"`, `"${'é'.repeat(99)}"`],
        refused: [`"${'a'.repeat(69)}"`],
      },
      {
        schema: { type: 'string', minLength: 3, maxLength: 130 },
        accepted: [3, 67, 99, 129, 130].map((n) => `"${'a'.repeat(n)}"`),
        refused: [2, 131].map((n) => `"${'a'.repeat(n)}"`),
      },
    ],
  },
  {
    keywords: ['pattern'],
    status: 'narrowed',
    note: 'matches the whole string. No look-around, back references, word borders and `\\p{…}`',
    examples: [
      {
        schema: { type: 'string', pattern: '^.*$' },
        accepted: ['"a\\"b\\\\"', '""', '"é"'],
        refused: ['"a"b"', '"\n"', '"\\n"'],
      },
      {
        schema: { type: 'string', pattern: '^[A-Z]{3}-\\d+$' },
        accepted: ['"ABC-1"'],
        refused: ['"ABC-"', '"abc-1"'],
      },
      {
        schema: { type: 'string', pattern: '^[^a-z]$' },
        accepted: ['"é"', '"\\n"', '"😀"', '"\\\\"', '"\\u0001"'],
        refused: ['"a"'],
        narrowed: ['"\\u00e9"'],
      },
      {
        schema: { type: 'string', pattern: '^[à-ÿ日]+$' },
        accepted: ['"é日"'],
        refused: ['"e"', '"Ā"', '"月"'],
      },
      {
        schema: { type: 'string', pattern: '[0-9]+' },
        accepted: ['"12"'],
        refused: ['"a"'],
        narrowed: ['"a1"'],
      },
      {
        schema: { type: 'string', pattern: '^(ab?|[cd]{2,3})*$', minLength: 3, maxLength: 4 },
        accepted: ['"abab"', '"ccd"'],
        refused: ['"ab"', '"ababa"'],
      },
      {
        schema: { allOf: [{ type: 'string', pattern: '^[a-m]*$' }, { pattern: '^[g-z]*$' }] },
        accepted: ['"gm"'],
        refused: ['"a"', '"z"'],
      },
    ],
  },
  {
    keywords: ['format'],
    status: 'narrowed',
    note: '`date`, `time`, `date-time`, `duration`, `email`, `hostname` (63 characters), `ipv4`, `ipv6`, `uri`, `uuid`, `json-pointer`; others are refused with `strict`',
    examples: [
      {
        schema: { type: 'string', format: 'date' },
        accepted: ['"2024-02-29"', '"2026-12-31"'],
        refused: ['"2023-02-29"', '"2026-13-01"', '"2026-04-31"', '"1900-02-29"'],
      },
      {
        schema: { type: 'string', format: 'time' },
        accepted: ['"23:59:59Z"', '"01:02:03.5+02:00"'],
        refused: ['"24:00:00Z"', '"1:2:3Z"', '"01:02:03"'],
      },
      {
        schema: { type: 'string', format: 'date-time' },
        accepted: ['"2026-12-02T10:00:00Z"'],
        refused: ['"2026-12-02"', '"2026-12-02T25:00:00Z"'],
        narrowed: ['"2026-12-02 10:00:00Z"'],
      },
      {
        schema: { type: 'string', format: 'duration' },
        accepted: ['"P1DT2H"', '"P3W"', '"PT5S"'],
        refused: ['"P"', '"1D"', '"PT"'],
      },
      {
        schema: { type: 'string', format: 'email' },
        accepted: ['"a.b+c@example.co"'],
        refused: ['"a"', '"a@"', '"@b.c"', '"a b@c.d"'],
      },
      {
        schema: { type: 'string', format: 'hostname' },
        accepted: ['"a-b.example"', '"x"'],
        refused: ['"-a"', '"a-.b"', '"a..b"', '""'],
      },
      {
        schema: { type: 'string', format: 'ipv4' },
        accepted: ['"255.0.10.1"'],
        refused: ['"256.0.0.1"', '"1.2.3"', '"01.2.3.4"'],
      },
      {
        schema: { type: 'string', format: 'ipv6' },
        accepted: ['"::1"', '"fe80::1"', '"1:2:3:4:5:6:7:8"', '"1:2:3:4:5:6:7::"', '"::"'],
        refused: ['"1:2:3:4:5:6:7:8:9"', '":1"', '"1::2::3"', '"12345::"'],
        narrowed: ['"::1.2.3.4"'],
      },
      {
        schema: { type: 'string', format: 'uri' },
        accepted: ['"https://example.com/a?b=c#d"', '"mailto:a@b.c"', '"urn:a:b"'],
        refused: ['"example.com"', '"/a"', '"https://a b"'],
      },
      {
        schema: { type: 'string', format: 'uuid' },
        accepted: ['"123e4567-e89b-12d3-a456-426614174000"'],
        refused: ['"123e4567"'],
      },
      {
        schema: { type: 'string', format: 'json-pointer' },
        accepted: ['""', '"/a~1b/0"'],
        refused: ['"a"', '"/~2"'],
      },
    ],
  },
  {
    keywords: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'],
    status: 'narrowed',
    note: 'of integers and numbers, which then have at most 15 digits and no exponent',
    examples: [
      {
        schema: { type: 'integer', minimum: 3, maximum: 25 },
        accepted: ['3', '25', '19'],
        refused: ['2', '26', '-3', '3.5', '03'],
      },
      {
        schema: { type: 'integer', minimum: -12, exclusiveMaximum: 5 },
        accepted: ['-12', '4', '0', '-1'],
        refused: ['-13', '5'],
      },
      {
        schema: { type: 'number', exclusiveMinimum: 0, maximum: 1.5 },
        accepted: ['0.1', '1.5', '1.50', '1', '0.00001'],
        refused: ['0', '0.0', '-1', '1.51', '2'],
        narrowed: ['1e-1'],
      },
      {
        schema: { type: 'number', minimum: -1.25, exclusiveMaximum: 1000 },
        accepted: ['-1.25', '-1', '999.99', '0'],
        refused: ['-1.26', '1000', '-2', '1000.0'],
      },
      {
        schema: { type: 'number', exclusiveMaximum: 0 },
        accepted: ['-0.1', '-5'],
        refused: ['0', '0.5', '-0'],
      },
      { schema: { type: 'number', minimum: 0.30000000000000004 }, accepted: ['0.31', '1'], refused: ['0.3'] },
      {
        schema: { type: 'integer', maximum: 9007199254740991 },
        accepted: ['999999999999999'],
        refused: ['9007199254740993'],
        narrowed: ['9007199254740991'],
      },
    ],
  },
  {
    keywords: ['multipleOf'],
    status: 'narrowed',
    note: 'a whole number up to 200, or a power of ten such as 0.01',
    examples: [
      {
        schema: { type: 'integer', multipleOf: 7, minimum: 1 },
        accepted: ['7', '14', '700'],
        refused: ['8', '0', '-7'],
      },
      { schema: { type: 'number', multipleOf: 0.1 }, accepted: ['1.5', '-2'], refused: ['1.55'] },
      { schema: { type: 'integer', multipleOf: 1000 }, accepted: ['0', '5000'], refused: ['1500'] },
    ],
  },
  {
    keywords: ['properties', 'required'],
    status: 'narrowed',
    note: 'in the order of the schema, and names in `required` alone after them. Without `additionalProperties` there are no others',
    examples: [
      {
        schema: object({ a: { type: 'string' }, b: { type: 'integer' } }, ['b']),
        accepted: ['{"b": 1}', '{"a": "x", "b": 1}'],
        refused: ['{}', '{"a": "x"}', '{"b": "x"}'],
        narrowed: ['{"b": 1, "a": "x"}', '{"b": 1, "c": 1}', '{"b":1}'],
      },
      {
        schema: { type: 'object', required: ['z'], additionalProperties: { type: 'integer' } },
        accepted: ['{"z": 1}', '{"z": 1, "y": 2}'],
        refused: ['{}', '{"y": 2}', '{"z": "a"}'],
      },
      {
        schema: { type: 'object', properties: { a: false, b: true } },
        accepted: ['{}', '{"b": [1]}'],
        refused: ['{"a": 1}'],
      },
      { schema: object({ 'a"\\é': { const: 1 } }), accepted: ['{"a\\"\\\\é": 1}'], refused: ['{"a": 1}'] },
    ],
  },
  {
    keywords: ['additionalProperties'],
    status: 'narrowed',
    note: 'names that are not declared, after those that are. Beside many declared names, they start with other characters than these',
    examples: [
      {
        schema: {
          type: 'object',
          properties: { a: { type: 'string' } },
          additionalProperties: { type: 'integer' },
        },
        accepted: ['{}', '{"a": "x", "b": 1}', '{"b": 1, "c": 2}', '{"ab": 1}'],
        refused: ['{"a": 1}', '{"b": "x"}'],
      },
      {
        schema: { type: 'object', additionalProperties: { type: 'null' } },
        accepted: ['{}', '{"": null, "é\\n": null}'],
        refused: ['{"a": 1}'],
      },
      {
        schema: { ...object({ a: { const: 1 } }), additionalProperties: false },
        accepted: ['{"a": 1}'],
        refused: ['{"a": 1, "b": 1}'],
      },
    ],
  },
  {
    keywords: ['minProperties', 'maxProperties'],
    status: 'narrowed',
    note: '`minProperties` above 1 is at most the number of `properties`',
    examples: [
      {
        schema: {
          ...object({ a: { const: 1 }, b: { const: 2 }, c: { const: 3 } }, []),
          minProperties: 1,
          maxProperties: 2,
        },
        accepted: ['{"a": 1}', '{"b": 2, "c": 3}'],
        refused: ['{}', '{"a": 1, "b": 2, "c": 3}'],
      },
      {
        schema: { type: 'object', additionalProperties: { const: 1 }, minProperties: 1, maxProperties: 2 },
        accepted: ['{"x": 1}', '{"x": 1, "y": 1}'],
        refused: ['{}', '{"x": 1, "y": 1, "z": 1}'],
      },
    ],
  },
  {
    keywords: ['items', 'prefixItems'],
    status: 'followed',
    note: '',
    examples: [
      {
        schema: { type: 'array', items: { type: 'integer' } },
        accepted: ['[]', '[1, 2]'],
        refused: ['["a"]', '[1,]', '{}'],
      },
      {
        schema: {
          type: 'array',
          prefixItems: [{ type: 'integer' }, { type: 'string' }],
          items: false,
          minItems: 2,
        },
        accepted: ['[1, "a"]'],
        refused: ['[1]', '[1, "a", 2]', '["a", 1]'],
      },
      {
        schema: { type: 'array', prefixItems: [{ type: 'integer' }] },
        accepted: ['[]', '[1]', '[1, "a", null]'],
        refused: ['["a"]'],
      },
      {
        schema: { type: 'array', prefixItems: [true, false], items: { type: 'null' } },
        accepted: ['[]', '[1]'],
        refused: ['[1, null]'],
      },
    ],
  },
  {
    keywords: ['minItems', 'maxItems'],
    status: 'followed',
    note: '',
    examples: [
      {
        schema: { type: 'array', items: { const: 1 }, minItems: 1, maxItems: 3 },
        accepted: ['[1]', '[1, 1, 1]'],
        refused: ['[]', '[1, 1, 1, 1]'],
      },
      {
        schema: { type: 'array', prefixItems: [{ const: 1 }], items: { const: 2 }, minItems: 2, maxItems: 3 },
        accepted: ['[1, 2]', '[1, 2, 2]'],
        refused: ['[1]', '[1, 2, 2, 2]', '[2, 2]'],
      },
      { schema: { type: 'array', maxItems: 0 }, accepted: ['[]'], refused: ['[1]'] },
    ],
  },
  {
    keywords: ['uniqueItems'],
    status: 'refused',
    note: 'unless there is at most one item',
    examples: [
      { schema: { type: 'array', items: { type: 'integer' }, uniqueItems: true } },
      {
        schema: { type: 'array', items: { const: 1 }, uniqueItems: true, maxItems: 1 },
        accepted: ['[]', '[1]'],
        refused: ['[1, 1]'],
      },
    ],
  },
  {
    keywords: ['anyOf', 'allOf'],
    status: 'followed',
    note: 'with all keywords beside them. At most 1,000 combinations',
    examples: [
      {
        schema: { anyOf: [{ type: 'integer' }, { type: 'string', maxLength: 1 }] },
        accepted: ['1', '"a"'],
        refused: ['"ab"', 'null'],
      },
      {
        schema: { type: 'integer', minimum: 3, anyOf: [{ maximum: 5 }, { minimum: 8 }] },
        accepted: ['3', '5', '8'],
        refused: ['2', '6', '7'],
      },
      {
        schema: {
          ...object({ a: { type: 'integer' } }, []),
          anyOf: [{ required: ['a'] }, { properties: { b: { const: 1 } }, required: ['b'] }],
        },
        accepted: ['{"a": 1}', '{"b": 1}', '{"a": 1, "b": 1}'],
        refused: ['{}', '{"b": 2}'],
      },
      {
        schema: {
          allOf: [
            object({ a: { type: 'integer', minimum: 2 } }),
            { properties: { a: { maximum: 3 }, b: { type: 'null' } } },
          ],
        },
        accepted: ['{"a": 2}', '{"a": 3, "b": null}'],
        refused: ['{"a": 4}', '{"a": 1}', '{}'],
      },
      {
        schema: {
          allOf: [
            { ...object({ a: { const: 1 } }, []), additionalProperties: false },
            { ...object({ b: { const: 1 } }, []) },
          ],
        },
        accepted: ['{}', '{"a": 1}'],
        refused: ['{"b": 1}'],
      },
    ],
  },
  {
    keywords: ['oneOf'],
    status: 'followed',
    note: 'if no value can follow two of its schemas; otherwise `strict` refuses it',
    examples: [
      {
        schema: { oneOf: [{ type: 'integer' }, { type: 'string' }] },
        accepted: ['1', '"a"'],
        refused: ['null'],
      },
      {
        schema: {
          oneOf: [object({ kind: { const: 'a' }, x: { type: 'integer' } }), object({ kind: { const: 'b' } })],
        },
        accepted: ['{"kind": "a", "x": 1}', '{"kind": "b"}'],
        refused: ['{"kind": "a"}', '{"kind": "c"}'],
      },
    ],
  },
  {
    keywords: ['$ref', '$defs'],
    status: 'followed',
    note: 'within the schema, also to itself, with all keywords beside it',
    examples: [
      {
        schema: {
          $ref: '#/$defs/n',
          $defs: { n: object({ next: { $ref: '#/$defs/n' }, v: { type: 'integer' } }, ['v']) },
        },
        accepted: ['{"v": 1}', '{"next": {"next": {"v": 1}, "v": 1}, "v": 2}'],
        refused: ['{}', '{"next": {}, "v": 2}'],
      },
      {
        schema: { $ref: '#/$defs/n', minimum: 3, $defs: { n: { type: 'integer', maximum: 5 } } },
        accepted: ['3', '5'],
        refused: ['2', '6'],
      },
      {
        schema: { type: 'array', items: { $ref: '#' }, maxItems: 2 },
        accepted: ['[]', '[[], [[]]]'],
        refused: ['[1]', '[[], [], []]'],
      },
    ],
  },
  {
    keywords: [
      'not',
      'if',
      'then',
      'else',
      'dependentSchemas',
      'dependentRequired',
      'propertyNames',
      'patternProperties',
      'unevaluatedProperties',
    ],
    status: 'refused',
    note: 'use `anyOf` of what is allowed',
    examples: [
      refused('not', { const: 1 }),
      refused('if', {}),
      refused('then', {}),
      refused('else', {}),
      refused('dependentSchemas', { a: {} }),
      refused('dependentRequired', { a: ['b'] }),
      refused('propertyNames', { maxLength: 1 }),
      refused('patternProperties', { a: {} }),
      refused('unevaluatedProperties', false),
    ],
  },
  {
    keywords: ['contains', 'minContains', 'maxContains', 'unevaluatedItems'],
    status: 'refused',
    note: 'use `prefixItems`',
    examples: [
      refused('contains', {}, 'array'),
      refused('minContains', 1, 'array'),
      refused('maxContains', 1, 'array'),
      refused('unevaluatedItems', false, 'array'),
    ],
  },
  {
    keywords: ['$dynamicRef'],
    status: 'refused',
    note: 'use `$ref`',
    examples: [refused('$dynamicRef', '#a')],
  },
  {
    keywords: [
      'title',
      'description',
      'default',
      'examples',
      'deprecated',
      'readOnly',
      'writeOnly',
      'contentEncoding',
      'contentMediaType',
      'contentSchema',
      '$schema',
      '$id',
      '$anchor',
      '$dynamicAnchor',
      '$vocabulary',
      '$comment',
    ],
    status: 'note',
    note: 'for people and programs',
    examples: [
      {
        schema: {
          type: 'integer',
          title: 'a',
          description: 'b',
          default: 1,
          examples: [1],
          deprecated: true,
          readOnly: true,
          writeOnly: true,
          contentEncoding: 'base64',
          contentMediaType: 'text/plain',
          contentSchema: {},
          $schema: 'https://json-schema.org/draft/2020-12/schema',
          $id: 'https://example.com/a',
          $anchor: 'a',
          $dynamicAnchor: 'b',
          $comment: 'c',
        },
        accepted: ['2'],
        refused: ['"a"'],
      },
    ],
  },
];

const EFFECTS = {
  followed: 'followed',
  narrowed: 'followed in part',
  refused: 'refused with `strict`, otherwise ignored',
  note: 'allowed, without effect',
};

/** The table of docs/tools.md. */
export const keywordLines = (): string =>
  [
    '| keywords | answers | |',
    '| --- | --- | --- |',
    ...keywordTable.map(
      ({ keywords, status, note }) =>
        `| ${keywords.map((keyword) => `\`${keyword}\``).join(', ')} | ${EFFECTS[status]} | ${note} |`,
    ),
  ].join('\n');
