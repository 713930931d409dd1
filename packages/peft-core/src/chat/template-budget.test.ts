/** Every operator, filter, test, method and statement charges the budget for what it reads and makes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GraftError } from '../errors.ts';
import { ChatTemplate } from './chat-template.ts';
import { FILTERS } from './jinja/filters.ts';
import { JinjaTemplate } from './jinja/jinja-template.ts';
import { METHODS } from './jinja/methods.ts';
import { OPERATORS } from './jinja/operators.ts';
import { TESTS } from './jinja/tests.ts';
import { TemplateBudget, TooCostly } from './template-budget.ts';

const MILLION = 1_000_000;
const long = 'ab '.repeat(MILLION / 3);
const words = Array.from({ length: 50_000 }, (_, i) => `Word ${i}`);
const numbers = Array.from({ length: 50_000 }, (_, i) => i);
const variables = {
  long,
  same: `${long.slice(0, -1)} `,
  part: `${'a'.repeat(1000)}b${'a'.repeat(1000)}`,
  repeated: 'a'.repeat(MILLION),
  words,
  numbers,
  objects: words.map((name, i) => ({ name, nested: { i } })),
  dict: Object.fromEntries(words.map((name, i) => [name, i])),
  pairs: words.map((name) => [name, 1]),
};

/** Steps that a template takes with the variables; that of the budget if it takes more. */
function stepsOf(source: string): number {
  const budget = new TemplateBudget([]);
  try {
    new JinjaTemplate(source).render(variables, budget);
  } catch (error) {
    if (!(error instanceof TooCostly)) throw error;
  }
  return budget.spent;
}

/** An expression whose cost grows with a list of 50,000 items or a text of a million characters; null: the cost does not grow. */
type Costs = Record<string, string | null>;

const operators: Costs = {
  '==': 'long == same',
  '!=': 'words != words + []',
  in: '"z" in words',
  'not in': '"z" not in long',
  '<': 'long < same',
  '>': 'long > same',
  '<=': 'words <= words + []',
  '>=': 'long >= same',
  '~': 'long ~ 1',
  '+': 'long + long',
  '-': null,
  '*': 'long * 3',
  '/': null,
  '//': null,
  '%': null,
  '**': null,
};

const filters: Costs = {
  abs: null,
  attr: 'dict | attr(long) is defined',
  capitalize: 'long | capitalize',
  count: 'dict | count',
  d: 'dict | d(1, true)',
  default: 'dict | default(1, true)',
  dictsort: 'dict | dictsort',
  e: 'long | e',
  escape: 'long | escape',
  first: 'long | first',
  float: 'long | float',
  indent: 'long | indent(first=true)',
  int: 'long | int',
  items: 'dict | items',
  join: 'words | join(",")',
  last: 'long | last',
  length: 'long | length',
  list: 'words | list',
  lower: 'long | lower',
  map: 'words | map("upper")',
  max: 'words | max',
  min: 'numbers | min',
  reject: 'words | reject("eq", "z")',
  rejectattr: 'objects | rejectattr("nested.i", "eq", 3)',
  replace: 'long | replace("a", "bb")',
  reverse: 'long | reverse',
  round: null,
  safe: 'words | safe',
  select: 'words | select("in", "z")',
  selectattr: 'objects | selectattr("name", "upper")',
  sort: 'objects | sort(attribute="name")',
  string: 'words | string',
  sum: 'numbers | sum',
  title: 'long | title',
  tojson: 'objects | tojson(indent=2)',
  trim: 'long | trim("ab ")',
  unique: 'words | unique',
  upper: 'long | upper',
  wordcount: 'long | wordcount',
};

const tests: Costs = {
  boolean: null,
  callable: null,
  defined: null,
  divisibleby: null,
  eq: 'words | select("eq", "Word x") | list',
  equalto: '[long] | select("equalto", same) | list',
  even: 'numbers | select("even") | list',
  false: null,
  float: null,
  ge: '[long] | select("ge", same) | list',
  gt: '[long] | select("gt", same) | list',
  greaterthan: '[long] | select("greaterthan", same) | list',
  in: '["z"] | select("in", words) | list',
  integer: null,
  iterable: null,
  le: '[long] | select("le", same) | list',
  lower: 'long is lower',
  lt: '[long] | select("lt", same) | list',
  lessthan: '[long] | select("lessthan", same) | list',
  mapping: null,
  ne: '[words] | select("ne", words + []) | list',
  none: null,
  number: null,
  odd: 'numbers | select("odd") | list',
  sameas: '[long] | select("sameas", same) | list',
  sequence: null,
  string: null,
  true: null,
  undefined: null,
  upper: 'long is upper',
};

const methods: Record<keyof typeof METHODS, Costs> = {
  str: {
    upper: 'long.upper()',
    lower: 'long.lower()',
    casefold: 'long.casefold()',
    capitalize: 'long.capitalize()',
    title: 'long.title()',
    strip: 'long.strip("ab ")',
    lstrip: 'long.lstrip("ab ")',
    rstrip: 'long.rstrip("ab ")',
    split: 'long.split("z")',
    rsplit: 'long.rsplit("z", 1)',
    splitlines: 'long.splitlines()',
    startswith: 'long.startswith(same)',
    endswith: 'long.endswith(same)',
    removeprefix: 'long.removeprefix(same)',
    removesuffix: 'long.removesuffix(same)',
    replace: 'long.replace("a", "bb")',
    find: 'long.find("z")',
    rfind: 'long.rfind("z")',
    index: 'long.index("b")',
    count: 'long.count("z")',
    join: '", ".join(words)',
    partition: 'long.partition("z")',
    isdigit: 'long.isdigit()',
    isdecimal: 'long.isdecimal()',
    isalpha: 'long.isalpha()',
    isalnum: 'long.isalnum()',
    isspace: 'long.isspace()',
    isupper: 'long.isupper()',
    islower: 'long.islower()',
    format: null,
  },
  list: {
    index: 'words.index("Word 49999")',
    count: 'words.count("z")',
    copy: 'words.copy()',
    ...Object.fromEntries(
      ['append', 'extend', 'insert', 'pop', 'remove', 'reverse', 'sort', 'clear'].map((name) => [name, null]),
    ),
  },
  dict: {
    get: 'dict.get(long)',
    items: 'dict.items()',
    keys: 'dict.keys()',
    values: 'dict.values()',
    copy: null,
    ...Object.fromEntries(['update', 'pop', 'popitem', 'setdefault', 'clear'].map((name) => [name, null])),
  },
};

const others: Costs = {
  truth: 'not dict',
  'an index': 'long[3]',
  'a slice': 'words[1:]',
  'a call of range': 'range(50000)',
  'a call of namespace': 'namespace(dict)',
  'a call of dict': 'dict is mapping and namespace(pairs)',
  'a spread': 'namespace(**dict)',
};

const all: [kind: string, known: readonly string[], costs: Costs][] = [
  ['operator', Object.keys(OPERATORS), operators],
  ['filter', Object.keys(FILTERS), filters],
  ['test', Object.keys(TESTS), tests],
  ...Object.entries(METHODS).map(([type, table]): [string, string[], Costs] => [
    `method of ${type}`,
    Object.keys(table),
    methods[type as keyof typeof METHODS],
  ]),
  ['expression', Object.keys(others), others],
];

for (const [kind, known, costs] of all)
  test(`every ${kind} charges for what it reads and makes, so that a loop of it ends`, () => {
    assert.deepEqual(Object.keys(costs).sort(), [...known].sort());
    for (const expression of Object.values(costs)) {
      if (expression === null) continue;
      // 50,000 items, or a million characters.
      const steps = stepsOf(`{% if ${expression} %}{% endif %}`);
      assert.ok(steps > 3000, `${expression} takes ${steps} steps`);
      const looped = `{% for i in range(99999) %}{% if ${expression} %}{% endif %}{% endfor %}`;
      const budget = new TemplateBudget([]);
      assert.throws(() => new JinjaTemplate(looped).render(variables, budget), TooCostly, expression);
      assert.ok(budget.spent < 2_000_000, `${expression}: ${budget.spent} steps`);
    }
  });

/** `x` is a tree of 2^45 leaves in 46 lists; `d` is one in dicts. */
const TREE =
  `{% set ns = namespace(x=["a"], y=["a"], d={"a": 1}) %}` +
  `{% for i in range(45) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% set ns.d = {"l": ns.d, "r": ns.d} %}{% endfor %}` +
  '{% set x = ns.x %}{% set y = ns.y %}{% set d = ns.d %}';

const treeExpressions = [
  '{{ x }}',
  '{{ d }}',
  '{{ x ~ "" }}',
  '{% if x == y %}{% endif %}',
  '{% if x != y %}{% endif %}',
  '{% if x < y %}{% endif %}',
  '{% if y in [x] %}{% endif %}',
  '{% if {"a": x} == {"a": y} %}{% endif %}',
  '{{ x | tojson }}',
  '{{ d | tojson(sort_keys=true) }}',
  '{{ d | tojson(indent=2) }}',
  '{{ [x, y] | sort }}',
  '{{ [x, y] | max }}',
  '{{ [x] | min ~ "" }}',
  '{{ {"a": x, "b": y} | dictsort(by="value") }}',
  '{{ x | join("-") }}',
  '{{ [x] | map("string") | list }}',
  '{{ [x] | select("eq", y) | list }}',
  '{{ [{"a": x}] | selectattr("a", "ne", y) | list }}',
  '{{ [x].index(y) }}',
  '{{ [x].count(y) }}',
  '{{ x | length ~ (x | upper) }}',
  '{% filter upper %}{{ x }}{% endfilter %}',
  '{% set z %}{{ x }}{% endset %}',
  '{% macro m(a) %}{{ a }}{% endmacro %}{{ m(x) }}',
  '{% macro m() %}{{ caller(x) }}{% endmacro %}{% call(a) m() %}{{ a }}{% endcall %}',
  '{{ raise_exception(x) }}',
  '{{ {"a": 1}[x] }}{{ x | replace("a", "b") }}',
];

const many = '{% for i in range(99999) %}';
/** Templates that cost without end in other ways. */
const hostile = [
  `${many}${many}{% if messages[0].content == "b" %}{% endif %}{% endfor %}{% endfor %}`,
  `{% set ns = namespace(x="x" * 1000000) %}${many}{% set ns.x = ns.x ~ ns.x %}{% endfor %}`,
  '{{ "x" * 100000000000 }}',
  '{{ [0] * 100000000000 }}',
  '{{ range(100000000) }}',
  // Each compares everywhere.
  '{{ ("a" * 1000000).find("a" * 250000 ~ "b" ~ "a" * 250000) }}',
  '{{ ("a" * 1000000).rfind("a" * 250000 ~ "b") }}',
  '{% if ("a" * 250000 ~ "b" ~ "a" * 250000) in ("a" * 1000000) %}{% endif %}',
  '{{ ("a" * 1000000).split("a" * 250000 ~ "b" ~ "a" * 250000) }}',
  '{{ ("a\n" * 500000) | indent("b" * 1000000) }}',
  '{{ ("a" * 50000) | list | join("b" * 1000000) }}',
  '{{ ("a" * 1000000).replace("a", "b" * 1000000) }}',
  '{{ [[1, 2], [3, 4]] | tojson(indent="b" * 10000000) }}',
  `{% set ns = namespace(x=[1]) %}{% for i in range(9999) %}{% set ns.x = ns.x + ns.x %}{% endfor %}`,
  `${many}{% if ${'1 + '.repeat(500)}1 %}{% endif %}{% endfor %}`,
  `{% macro m(a=${'1 + '.repeat(500)}1) %}{% endmacro %}${many}{% if m() %}{% endif %}{% endfor %}`,
  `${many}{% for j in [1] if ${'1 + '.repeat(500)}1 %}{% endfor %}{% endfor %}`,
];

test('a template that costs without end is stopped by its budget, after as many steps', () => {
  for (const source of [...treeExpressions.map((each) => TREE + each), ...hostile]) {
    const template = new ChatTemplate(source, {}, 'training.chat_template');
    assert.throws(
      () => template.render([{ role: 'user', content: 'b' }]),
      (error: GraftError) =>
        error.code === 'invalid_chat_template' &&
        error.param === 'training.chat_template' &&
        /^the chat template (takes more than \d+ steps|makes a text or a list without end|asks for a range)/.test(
          error.message,
        ),
      source,
    );
    // One step may be of the longest text or list.
    assert.ok(template.steps < 2e6, `${source}: ${template.steps} steps`);
  }
});

test('what nests too deep is refused with a reason', () => {
  const nested = (open: string, close: string, count: number) => open.repeat(count) + close.repeat(count);
  for (const source of [
    '{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}',
    `{% macro m() %}{{ ${'('.repeat(300)}m()${')'.repeat(300)} }}{% endmacro %}{{ m() }}`,
    nested('{% for i in [1] %}', '{% endfor %}', 250),
    `{{ ${nested('[', ']', 300)} }}`,
    `{% set ns = namespace(x=[]) %}{% for i in range(2000) %}{% set ns.x = [ns.x] %}{% endfor %}{% if ns.x == [ns.x] %}{% endif %}{{ ns.x }}`,
  ])
    assert.throws(
      () => new ChatTemplate(source, {}).render([]),
      (error: GraftError) => error.code === 'chat_template_error' && /nests? (too|more)/.test(error.message),
      source.slice(0, 80),
    );
  assert.throws(
    () => new ChatTemplate(`{{ ${nested('(', ')', 30_000)} }}`, {}),
    (error: GraftError) => error.code === 'invalid_chat_template' && error.message.length < 300,
  );
});

test('renderings of the parts of a conversation share one budget', () => {
  const source =
    '{% for m in messages %}{% if loop.last %}{% endif %}{% for i in range(9000) %}{% endfor %}{{ m.content }}{% endfor %}';
  const messages = Array.from({ length: 512 }, (_, i) => ({
    role: i % 2 ? 'assistant' : 'user',
    content: `${i}`,
  }));
  const template = new ChatTemplate(source, {});
  const turns = messages.flatMap(({ role }, i) => (role === 'assistant' ? [i] : []));
  assert.throws(
    () => template.renderTurns(messages, turns),
    (error: GraftError) =>
      error.code === 'invalid_chat_template' && /more than 50000000 steps/.test(error.message),
  );
  assert.ok(template.steps < 60e6, `${template.steps}`);
});
