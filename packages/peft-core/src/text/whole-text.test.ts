// Tests queries about prefixes of a text without encoding or rendering each of them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import { ChatTemplate } from '../chat/chat-template.ts';
import { JinjaTemplate } from '../chat/jinja/jinja-template.ts';
import { renderTogether } from '../chat/rendered-turns.ts';
import { TemplateBudget } from '../chat/template-budget.ts';
import { Random } from '../random.ts';
import { loadTokenizer } from './tokenizer.ts';

const read = (name: string) => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));
const tokenizerJson = read('./testdata/tiny-tokenizer.json');
const { templates, tokens } = read('../examples/testdata/chat-labels.json');
const random = new Random(11, 'test');
const pick = <T>(from: readonly T[]) => from[random.integer(from.length)]!;

const digitGroups = {
  type: 'Sequence',
  pretokenizers: [
    {
      type: 'Split',
      pattern: { Regex: '\\p{N}{1,3}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+|[^\\s]' },
      behavior: 'Isolated',
      invert: false,
    },
    { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
  ],
};

for (const [name, pre_tokenizer] of [
  ['byte level', tokenizerJson.pre_tokenizer],
  ['groups of digits', digitGroups],
] as const) {
  test(`the tokens of a text that lie in its beginnings: ${name}`, () => {
    const tokenizer = loadTokenizer({
      tokenizerJson: { ...tokenizerJson, pre_tokenizer },
      tokenizerConfig: null,
      chatTemplate: null,
    });
    const parts = [
      ' ',
      '   ',
      '\n',
      ' \n ',
      'a',
      'wheel',
      ' bent',
      "'s",
      '12',
      '345',
      'é',
      '🚲',
      '<|im_end|>',
      '<|im_',
      '!',
      '¿',
    ];
    for (let round = 0; round < 6; round++) {
      const text = Array.from({ length: 500 }, () => pick(parts)).join('');
      const whole = tokenizer.encodeWhole({ text, specialTokens: 'all' });
      assert.deepEqual(whole.ids, tokenizer.encode(text, { addSpecialTokens: false }));
      const ends = whole.ids.map((_, i) => tokenizer.decode(whole.ids.slice(0, i + 1)).length);
      for (let end = round; end <= text.length; end += 6) {
        if (/^[\udc00-\udfff]/.test(text.slice(end))) continue;
        const tokens = ends.findLastIndex((each) => each <= end) + 1;
        const expected = { tokens, isExact: (ends[tokens - 1] ?? 0) === end };
        assert.deepEqual(whole.beginning(end), expected, JSON.stringify(text.slice(end - 20, end + 5)));
      }
    }
  });
}

/** Templates like those of real models; and some that read ahead, so that a prefix renders differently. */
const TEMPLATES: Record<string, string> = {
  ...templates,
  'system first':
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system = messages[0]['content'] | trim + '\n\n' %}{% else %}{% set loop_messages = messages %}{% set system = '' %}{% endif %}{{ bos_token }}{% for message in loop_messages %}{% if loop.index0 == 0 %}{% set content = system + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{{ '<' + message.role + '>' + content.strip() + (eos_token if message.role == 'assistant' else '') }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}",
  'branches for tools':
    "{%- if tools %}{{- tools | tojson }}{%- endif %}{%- for message in messages %}{%- if message.role in ['user', 'system'] or (message.role == 'assistant' and not message.tool_calls) %}{{- '<|im_start|>' ~ message.role ~ '\n' ~ message.content ~ '<|im_end|>\n' }}{%- elif message.role == 'tool' %}{%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}x{%- endif %}{%- endif %}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}",
  'a count in a namespace':
    '{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ ns.n }}:{{ m.content }};{% endfor %}{% if add_generation_prompt %}{{ ns.n + 1 }}:{% endif %}',
  'the last one differs':
    "{% for m in messages %}[{{ m.content }}{{ '' if loop.last else ']' }}{% endfor %}{% if add_generation_prompt %}[{% endif %}",
  'the number of messages first': '{{ messages | length }}{% for m in messages %}{{ m.content }}{% endfor %}',
  'a date':
    "{{ strftime_now('%d %b %Y') }}{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}{% endfor %}",
  'nothing thought':
    "{% for m in messages %}{% set c = m.content %}{% if '</t>' in c %}{% set c = c.split('</t>')[-1].lstrip() %}{% endif %}{{ m.role | upper }}: {{ c }}\n{% endfor %}",
  'turns must alternate':
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}{{ m.content }}{{ eos_token }}{% endfor %}",
};

for (const [name, source] of Object.entries(TEMPLATES)) {
  test(`a conversation renders as the interpreter renders it, and so do its beginnings: ${name}`, () => {
    const now = new Date(2024, 6, 26, 12);
    const template = new ChatTemplate(source, tokens);
    let refused = 0;
    for (let round = 0; round < 30; round++) {
      const messages = Array.from({ length: 1 + random.integer(7) }, (_, i) => ({
        role: i === 0 && round % 3 === 0 ? 'system' : pick(['user', 'assistant']),
        content: pick(['Hi', ' a b ', 'x\n', '<|im_end|>', 't</t> z', '東京']),
        ...(round % 5 === 0 ? { name: 'n' } : {}),
      }));
      const render = (count: number, addGenerationPrompt: boolean) =>
        interpret(source, messages.slice(0, count), addGenerationPrompt, now);
      const turns = messages.flatMap(({ role }, i) => (role === 'assistant' ? [i] : []));
      const expected = outcome(() => {
        const text = render(messages.length, false);
        const places = [];
        for (const turn of turns) {
          const prompt = render(turn, true);
          const from = common(text, prompt);
          // Nobody asks for the first message.
          if (turn > 0 && from < prompt.length) return null;
          const served = turn > 0 ? from : null;
          const own = turn + 1 === messages.length ? text : render(turn + 1, false);
          const through = Math.max(from, common(text, own));
          const isPrefix = own.trimEnd().length <= through;
          places.push({ prompt: from, served, through, generated: null, isPrefix });
        }
        return { text, turns: places, generated: [] };
      });
      assert.deepEqual(
        outcome(() => template.renderTurns(messages, turns, { now })),
        expected,
        JSON.stringify(messages),
      );
      if (expected === 'refused') refused++;
      else assert.equal(template.render(messages, { now }), render(messages.length, false));
    }
    assert.ok(refused < 30);
  });
}

test('what reads nothing ahead is rendered once, with all its beginnings', () => {
  const messages = ['system', 'user', 'assistant', 'user', 'assistant'].map((role) => ({
    role,
    content: role,
  }));
  const variables = { messages, strftime_now: () => 'today', add_generation_prompt: false };
  const apart = Object.entries(TEMPLATES).flatMap(([name, source]) => {
    const template = new JinjaTemplate(source, { ...tokens, tools: null });
    return renderTogether(template, variables, [2, 4], new TemplateBudget(messages)) ? [] : [name];
  });
  assert.deepEqual(apart, ['the last one differs', 'the number of messages first', 'turns must alternate']);
});

function common(a: string, b: string): number {
  let length = 0;
  while (length < Math.min(a.length, b.length) && a[length] === b[length]) length++;
  return length;
}

function outcome<T>(run: () => T): T | 'refused' {
  try {
    return run();
  } catch {
    return 'refused';
  }
}

function interpret(source: string, messages: object[], add_generation_prompt: boolean, now: Date): string {
  const environment = new Environment();
  const month = now.toLocaleString('en-US', { month: 'short' });
  const variables = {
    true: true,
    false: false,
    none: null,
    tools: null,
    ...tokens,
    messages,
    add_generation_prompt,
    raise_exception: (message: string) => {
      throw new Error(message);
    },
    strftime_now: () => `${now.getDate()} ${month} ${now.getFullYear()}`,
  };
  for (const [name, value] of Object.entries(variables)) environment.set(name, value);
  const program = parse(tokenize(source, { trim_blocks: true, lstrip_blocks: true }));
  return String(new Interpreter(environment).run(program).value);
}
