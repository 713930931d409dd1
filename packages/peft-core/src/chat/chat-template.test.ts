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

test('where the library is known to differ from Jinja: spelling of booleans, and variables set within a loop', () => {
  const render = (source: string) => new ChatTemplate(source, {}).render([]);
  assert.equal(render('{{ true }}'), 'true'); // Jinja: True
  assert.equal(render('{% set x = 1 %}{% for i in [1, 2] %}{{ x }}{% set x = 2 %}{% endfor %}'), '12'); // Jinja: 11
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
    assert.equal(template.renderTurns(messages, [1], { kwargs }).text, 'a low|b|');
  }
  const nested = new ChatTemplate('{{ names | join(", ") }} {{ more.size }}', {});
  assert.equal(nested.render([], { kwargs: { names: ['x', 'y'], more: { size: 3 } } }), 'x, y 3');
});
