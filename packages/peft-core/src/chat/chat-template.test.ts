import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { GraftError } from '../errors.ts';
import { ChatTemplate } from './chat-template.ts';

const golden = JSON.parse(
  readFileSync(new URL('./testdata/rendered-templates.json', import.meta.url), 'utf8'),
);

for (const { template, text } of golden.cases as { template: string; text: string }[]) {
  test(`renders as transformers does: ${JSON.stringify(template)}`, () => {
    assert.equal(new ChatTemplate(template, golden.tokens).render(golden.messages), text);
  });
}

test('strftime_now shows the given time in the C locale', () => {
  const template = new ChatTemplate("{{ strftime_now('%d %b %Y %H:%M %A %%') }}", {});
  assert.equal(template.render([], { now: new Date(2026, 2, 5, 9, 7) }), '05 Mar 2026 09:07 Thursday %');
});

test('a template that does not parse and one that rejects messages give different errors', () => {
  assert.throws(
    () => new ChatTemplate('{% for m in %}', {}),
    (error: GraftError) => error.code === 'invalid_chat_template',
  );
  assert.throws(
    () => new ChatTemplate("{{ raise_exception('roles must alternate') }}", {}).render([]),
    (error: GraftError) => error.code === 'chat_template_error' && /roles must alternate/.test(error.message),
  );
});

/** Texts by Python's jinja2 3.1.6 with the settings of transformers; @huggingface/jinja differs in most. */
const PYTHON: [source: string, text: string][] = [
  [
    '{{ true }} {{ none }} {{ [1, none, true, "a"] }} {{ {"a": \'x"y\'} }}',
    "True None [1, None, True, 'a'] {'a': 'x\"y'}",
  ],
  ['{{ true | string }}{{ none | string }}{{ missing | string }}', 'TrueNone'],
  ['{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = 2 %}{% endfor %}{{ x }}', '111'],
  ['a\r\n{% if true %}\r\n  b\r\n{% endif %}\r\nc', 'a\n  b\nc'],
  ['{{ none == missing }} {{ missing == none }} {{ missing is none }}', 'False False False'],
  ['{{ -7 % 3 }} {{ -7 // 2 }} {{ 7 / 2 }} {{ 4 / 2 }}', '2 -4 3.5 2.0'],
  ['{{ "🙂é"|length }} {{ "🙂é"[0] }} {{ "🙂éa"[::-1] }}', '2 🙂 aé🙂'],
  ['{{ {"b": 1.5, "a": "é<\'"} | tojson }}', '{"b": 1.5, "a": "é<\'"}'],
  ['{{ {"b": [1, {}], "a": []} | tojson(indent=2) }}', '{\n  "b": [\n    1,\n    {}\n  ],\n  "a": []\n}'],
  ['{{ {"b": 1, "A": 2} | dictsort }}', "[('A', 2), ('b', 1)]"],
  ['{{ "x" ~ none ~ 1 ~ missing }}', 'xNone1'],
  [
    '{% macro m(a, b=2) %}{{ a }}{{ b }}{{ outer }}{% endmacro %}{% for outer in [5] %}{{ m(1) }}{% endfor %}',
    '12',
  ],
  [
    '{% set ns = namespace(n=0) %}{% for i in [1, 2, 3] if i != 2 %}{% set ns.n = ns.n + i %}{% else %}none{% endfor %}{{ ns.n }}',
    '4',
  ],
  [
    '{% for i in [1, 2, 3, 4] %}{% if i == 2 %}{% continue %}{% elif i == 4 %}{% break %}{% endif %}{{ i }}{{ loop.revindex }}{% endfor %}',
    '1432',
  ],
  [
    '{{ "a b  c".split() }} {{ "a,b,c".split(",", 1) }} {{ "\ufeff x\x1c".strip() }}',
    "['a', 'b', 'c'] ['a', 'b,c'] \ufeff x",
  ],
  [
    '{{ [{"a": 1}, {"a": 2}] | map(attribute="a") | list }} {{ ["x", "Y"] | map("upper") | join("-") }}',
    '[1, 2] X-Y',
  ],
  ['{{ [1, [2]] == [1, [2]] }} {{ 1 == 1.0 }} {{ true == 1 }} {{ "1" == 1 }}', 'True True True False'],
  ['{{ "ab" * 2 }} {{ [0] * 3 }}', 'abab [0, 0, 0]'],
];

for (const [source, expected] of PYTHON)
  test(`renders as Python does: ${source}`, () => {
    assert.equal(new ChatTemplate(source, {}).render([]), expected);
  });

test('variables of a request reach a plain template and one that the interpreter renders', () => {
  const messages = [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b' },
  ];
  const plain =
    "{% if not think %}/no_think {% endif %}{% for m in messages %}{{ m.content }}{{ ' ' ~ effort if m.role == 'user' }}|{% endfor %}";
  // Macros are not in the plain subset.
  for (const source of [plain, `{% macro nothing() %}{% endmacro %}${plain}`]) {
    const template = new ChatTemplate(source, {});
    const kwargs = { think: true, effort: 'low' };
    assert.equal(template.render(messages, { kwargs }), 'a low|b|');
    assert.equal(template.render(messages, { kwargs: { effort: 2 } }), '/no_think a 2|b|');
    assert.equal(template.renderTurns(messages, [1], { kwargs })?.text, 'a low|b|');
  }
  const nested = new ChatTemplate('{{ names | join(", ") }} {{ more.size }}', {});
  assert.equal(nested.render([], { kwargs: { names: ['x', 'y'], more: { size: 3 } } }), 'x, y 3');
});
