import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { Type } from 'typebox';
import { describeFaults } from './validation-faults.ts';

const schema = Type.Object(
  {
    model: Type.String({ minLength: 2 }),
    epochs: Type.Optional(Type.Union([Type.Literal('auto'), Type.Integer({ minimum: 1 })])),
    parts: Type.Optional(
      Type.Array(
        Type.Object(
          { type: Type.Literal('text', { description: 'only text is read' }), text: Type.String() },
          { additionalProperties: false },
        ),
      ),
    ),
    list: Type.Optional(Type.Array(Type.Object({ role: Type.Enum(['a', 'b']) }))),
    input: Type.Optional(
      Type.Union([
        Type.String(),
        Type.Array(Type.String({ minLength: 1 }), { minItems: 1, maxItems: 500 }),
        Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1 }),
        Type.Array(Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1 }), { minItems: 1 }),
      ]),
    ),
    deep: Type.Optional(
      Type.Union([Type.Null(), Type.Object({ x: Type.Integer() }, { additionalProperties: false })]),
    ),
  },
  { additionalProperties: false },
);
const validate = new Ajv2020({ allErrors: true, strictTypes: false, verbose: true }).compile(schema);

function faultsOf(value: unknown) {
  assert.equal(validate(value), false);
  const { code, param, message } = describeFaults(validate.errors!, true);
  return [code, param, message];
}

test('each kind of fault, with the path of its parameter', () => {
  const expected: [unknown, string, string | null, RegExp][] = [
    [{}, 'missing_required_parameter', 'model', /^Missing required parameter: 'model'\.$/],
    [{ model: 'xx', modl: 1 }, 'unknown_parameter', 'modl', /^Unknown parameter: 'modl'\.$/],
    [{ model: 'x' }, 'invalid_value', 'model', /must NOT have fewer than 2 characters/],
    [
      { model: 'xx', list: [{ role: 'a' }, { role: 'c' }] },
      'invalid_value',
      'list[1].role',
      /one of "a", "b"/,
    ],
    [
      { model: 'xx', parts: [{ type: 'image', url: 'a' }] },
      'invalid_value',
      'parts[0].type',
      /^Invalid 'parts\[0\]\.type': must be "text" \(only text is read\)\.$/,
    ],
    [[], 'invalid_value', null, /^The body must be object\.$/],
  ];
  for (const [value, code, param, message] of expected) {
    const found = faultsOf(value);
    assert.deepEqual(found.slice(0, 2), [code, param]);
    assert.match(String(found[2]), message);
  }
});

test('of a union, the branch that fits the value speaks, or all of them', () => {
  assert.match(String(faultsOf({ model: 'xx', epochs: 0 })[2]), /^Invalid 'epochs': must be >= 1\.$/);
  assert.match(
    String(faultsOf({ model: 'xx', epochs: 'x' })[2]),
    /^Invalid 'epochs': must be "auto" or integer\.$/,
  );
  assert.deepEqual(faultsOf({ model: 'xx', deep: { x: 1, y: 2 } }).slice(0, 2), [
    'unknown_parameter',
    'deep.y',
  ]);
});

test('of a union of lists, only the branch that fits best speaks', () => {
  const cases: [unknown, string][] = [
    [5, "Invalid 'input': must be string or array."],
    [[], "Invalid 'input': must NOT have fewer than 1 items."],
    [['a', ''], "Invalid 'input[1]': must NOT have fewer than 1 characters."],
    [Array(501).fill('a'), "Invalid 'input': must NOT have more than 500 items."],
    [[1, -2], "Invalid 'input[1]': must be >= 0."],
    [[[1, -2]], "Invalid 'input[0][1]': must be >= 0."],
    [[[1], []], "Invalid 'input[1]': must NOT have fewer than 1 items."],
    [['a', [1]], "Invalid 'input[1]': must be string."],
    [[null], "Invalid 'input[0]': must be string."],
  ];
  for (const [input, message] of cases) {
    const [, , found] = faultsOf({ model: 'xx', input });
    assert.equal(
      String(found).replace(' There are more faults.', ''),
      message,
      JSON.stringify(input).slice(0, 40),
    );
  }
});

test('all faults in one message, the first one leading', () => {
  const [code, param, message] = faultsOf({ a: 1, b: 2 });
  assert.deepEqual([code, param], ['missing_required_parameter', 'model']);
  assert.match(String(message), /'model'.*'a'.*'b'/);
});

test('each reported error separately', () => {
  assert.equal(validate({ model: 'x', epochs: 0 }), false);
  assert.deepEqual(describeFaults(validate.errors!, true).details, [
    { param: 'model', message: "Invalid 'model': must NOT have fewer than 2 characters." },
    { param: 'epochs', message: "Invalid 'epochs': must be >= 1." },
  ]);
  assert.equal(validate([]), false);
  assert.deepEqual(describeFaults(validate.errors!, true).details, [{ message: 'The body must be object.' }]);
  assert.equal(validate(Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`k${i}`, 1]))), false);
  assert.equal(describeFaults(validate.errors!, true).details.length, 20);
});
