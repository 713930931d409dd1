import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { GraftError } from '../errors.ts';
import { loadTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import { type AssistantSpans, assistantSpans, type SpanOptions } from './assistant-spans.ts';
import type { Message, Tool } from './message.ts';

const read = (name: string) => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));
const tokenizerJson = read('../text/testdata/tiny-tokenizer.json');
const tokenizerConfig = read('../examples/testdata/chat-labels.json').tokens;
const tokenizerOf = (chatTemplate: string): Tokenizer =>
  loadTokenizer({ tokenizerJson, tokenizerConfig, chatTemplate });

/** Like Qwen 3's: reasoning only in the last turn, tool calls as JSON. */
const thinking = `{%- if tools %}{{- '<|im_start|>system\\n' ~ tools | tojson ~ '<|im_end|>\\n' }}{% endif %}
{%- for m in messages %}
  {{- '<|im_start|>' ~ m.role ~ '\\n' }}
  {%- if m.role == 'assistant' and loop.last and m.reasoning_content %}{{- '[' ~ m.reasoning_content ~ ']\\n' }}{% endif %}
  {{- m.content }}
  {%- for call in m.tool_calls or [] %}{{- '<|head|>' ~ call.function.name ~ call.function.arguments | tojson ~ '<|/head|>' }}{% endfor %}
  {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{% endif %}`;
const thinker = tokenizerOf(thinking);
/** The same, in every turn. */
const always = tokenizerOf(thinking.replace(' and loop.last', ''));
const marked = tokenizerOf(
  `{% for m in messages %}{{ '<|head|>' }}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}`,
);

const messages: Message[] = [
  { role: 'user', content: 'a' },
  { role: 'assistant', content: 'b', reasoning: 'x', weight: 0.5 },
  { role: 'user', content: 'c' },
  { role: 'assistant', content: 'd', reasoning: 'y' },
];
const find: Tool = { type: 'function', function: { name: 'find', description: 'Finds <|im_end|>' } };
const calling: Message[] = [
  { role: 'user', content: 'a' },
  {
    role: 'assistant',
    content: null,
    tool_calls: [
      { type: 'function', function: { name: 'find', arguments: { '<|im_end|>': ['<|im_end|>', 1] } } },
    ],
  },
  { role: 'tool', content: 'found <|im_end|>' },
  { role: 'assistant', content: 'b' },
];

/** For each conversation, the text that is trained on, with the number of its message and its weight. */
function trained(tokenizer: Tokenizer, given: readonly Message[], options: SpanOptions = {}) {
  const found = assistantSpans(tokenizer, given, options) as AssistantSpans[];
  return found.map(({ ids, spans }) =>
    spans.map(({ from, to, message, weight }) => [message, tokenizer.decode(ids.slice(from, to)), weight]),
  );
}

test('a template that leaves out earlier reasoning gives a conversation for each turn', () => {
  assert.deepEqual(trained(thinker, messages), [
    [[1, '[x]\nb<|im_end|>', 0.5]],
    [[3, '[y]\nd<|im_end|>', 1]],
  ]);
  assert.deepEqual(trained(always, messages), [
    [
      [1, '[x]\nb<|im_end|>', 0.5],
      [3, '[y]\nd<|im_end|>', 1],
    ],
  ]);
  const [first] = assistantSpans(thinker, messages)!;
  assert.ok(!thinker.decode(first!.ids).includes('c'), 'the conversation is cut after its turn');
});

test('train on the last assistant message, or on none of the reasoning', () => {
  assert.deepEqual(trained(thinker, messages, { trainOn: 'last_assistant' }), [[[3, '[y]\nd<|im_end|>', 1]]]);
  assert.deepEqual(trained(always, messages, { maskReasoning: true }), [
    [
      [1, 'b<|im_end|>', 0.5],
      [3, 'd<|im_end|>', 1],
    ],
  ]);
  const untrained = messages.map((message, i) => (i === 3 ? { ...message, weight: 0 } : message));
  assert.deepEqual(trained(always, untrained, { trainOn: 'last_assistant' }), [
    [[1, '[x]\nb<|im_end|>', 0.5]],
  ]);
});

test('what a template marks is trained on, of messages that count', () => {
  assert.deepEqual(trained(marked, messages), [
    [
      [1, 'b</s>', 0.5],
      [3, 'd</s>', 1],
    ],
  ]);
  const second = messages.map((message, i) => (i === 1 ? { ...message, weight: 0 } : message));
  assert.deepEqual(trained(marked, second), [[[3, 'd</s>', 1]]]);
});

test('a call of a tool is trained on through the end of its turn, never the result; look-alikes are plain text', () => {
  const [found] = assistantSpans(always, calling, { tools: [find] })!;
  assert.deepEqual(trained(always, calling, { tools: [find] }), [
    [
      [1, '<|head|>find{"<|im_end|>": ["<|im_end|>", 1]}<|/head|><|im_end|>', 1],
      [3, 'b<|im_end|>', 1],
    ],
  ]);
  const [end] = always.encode('<|im_end|>', { addSpecialTokens: false });
  // The system message with the tools, and four messages.
  assert.equal(found!.ids.filter((id) => id === end).length, 5);
  const [allowed] = assistantSpans(always, calling, { tools: [find], allowSpecialTokens: true })!;
  assert.equal(allowed!.ids.filter((id) => id === end).length, 9);
});

test('a call that the template leaves out is an error, not a turn without text', () => {
  assert.throws(
    () => assistantSpans(marked, [{ ...calling[0]! }, { ...calling[1]!, content: 'x' }]),
    (error: GraftError) =>
      error.code === 'chat_template_error' &&
      /messages\[1\] calls the tool "find".*leaves out/.test(error.message),
  );
});

test('tools and arguments that nest too deep are an error', () => {
  let deep: unknown = 'x';
  for (let i = 0; i < 5_000; i++) deep = [deep];
  const call = { type: 'function' as const, function: { name: 'find', arguments: { deep } } };
  const refused = (error: GraftError) =>
    error.code === 'chat_template_error' && /nest more than 64 deep/.test(error.message);
  for (const allowSpecialTokens of [false, true]) {
    const nested: Message[] = [calling[0]!, { ...calling[1]!, tool_calls: [call] }];
    assert.throws(() => assistantSpans(always, nested, { allowSpecialTokens }), refused);
    const tools = [{ ...find, function: { ...find.function, parameters: { deep } } }];
    assert.throws(() => assistantSpans(always, messages, { tools, allowSpecialTokens }), refused);
  }
});

test('a conversation that is too long is abandoned; of one that becomes several, the turns that are far too long', () => {
  const long = [...messages, ...messages].map((message) => ({ ...message, content: 'word '.repeat(400) }));
  for (const tokenizer of [always, marked]) assert.equal(assistantSpans(tokenizer, long, { most: 50 }), null);
  // Two turns show that it becomes several.
  const located = assistantSpans(thinker, long, { most: 50 })!.map((each) => each !== null);
  assert.deepEqual(located.slice(0, 3), [true, true, false]);
  assert.ok(!located.includes(true, 2));
});
