import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownTemplate } from '../config/chat-training.ts';
import { ChatTemplate } from './chat-template.ts';
import type { Message, Tool } from './message.ts';
import { addTools } from './template-tools.ts';
import { answerFormOf } from './tool-styles/tool-styles.ts';

const plain =
  "{% for message in messages %}{{ '<' + message['role'] + '>' + message['content'] }}{% endfor %}{% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}";

const tools: Tool[] = [{ type: 'function', function: { name: 'stock' } }];
const call = (part: string) =>
  ({ type: 'function', function: { name: 'stock', arguments: { part } } }) as const;
const messages: Message[] = [
  { role: 'system', content: 'Be short.' },
  { role: 'user', content: 'Tyres?' },
  { role: 'assistant', content: 'I look.', tool_calls: [call('32'), call('28')] },
  { role: 'tool', content: '4' },
  { role: 'tool', content: '7' },
  { role: 'assistant', content: 'Eleven.' },
];

test('a template without tools gets them: described once, calls and results as contents', () => {
  const text = new ChatTemplate(addTools(plain), {}).render(messages, { tools });
  const [system, rest] = text.split('<user>Tyres?');
  assert.match(
    system!,
    /^<system>Be short\.\n\nYou can call[\s\S]*<tools>\n\{"type": "function"[\s\S]*<\/tool_call>$/,
  );
  assert.equal(
    rest,
    '<assistant>I look.\n<tool_call>\n{"name": "stock", "arguments": {"part": "32"}}\n</tool_call>\n' +
      '<tool_call>\n{"name": "stock", "arguments": {"part": "28"}}\n</tool_call>' +
      '<user><tool_response>\n4\n</tool_response>\n<tool_response>\n7\n</tool_response><assistant>Eleven.',
  );
  assert.equal(answerFormOf(addTools(plain)).style?.name, 'tagged-json');
});

test('each answer follows the prompt that asks for it', () => {
  const template = new ChatTemplate(addTools(plain), {});
  const turns = template.renderTurns(messages, [2, 5], { tools })!.turns;
  for (const [i, turn] of [2, 5].entries()) {
    const prompt = template.render(messages.slice(0, turn), { tools, addGenerationPrompt: true });
    assert.equal(turns[i]!.served, prompt.length);
  }
});

test('without tools the template writes what it wrote', () => {
  const chat = [messages[0]!, messages[1]!, messages[5]!];
  assert.equal(new ChatTemplate(addTools(plain), {}).render(chat), new ChatTemplate(plain, {}).render(chat));
});

test('messages with calls or results are refused with a way out', () => {
  assert.throws(
    () =>
      new ChatTemplate(plain, {}).render([{ role: 'assistant', content: null, tool_calls: [call('32')] }]),
    /refuses these messages: messages\[0\] calls tools, but .* train with "chat_template": "tools"/,
  );
});

test('"tools" keeps a template with tools, and needs a template', () => {
  const withTools = addTools(plain);
  assert.equal(ownTemplate('tools', { baseTemplate: plain }), withTools);
  assert.equal(ownTemplate('tools', { baseTemplate: withTools }), null);
  assert.equal(ownTemplate('tools', { startTemplate: 'x', baseTemplate: plain }), withTools);
  assert.equal(ownTemplate('tools', {}), null);
  assert.throws(() => ownTemplate('tools', { baseTemplate: null }), /has none; give a template/);
});
