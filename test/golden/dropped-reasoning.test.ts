/** File reports about the reasoning that chat templates drop, with every template in TRL's package. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { Message } from '@graft/peft-core/chat';
import { createExampleReporter } from '@graft/peft-core/examples';
import { loadTokenizer } from '@graft/peft-core/text';
import { droppedReasoning } from '../../packages/peft-core/src/chat/dropped-reasoning.ts';
import { type TrlTemplate, trlTemplates } from './fixtures/trl-templates.ts';

const conversation: Message[] = [
  { role: 'user', content: 'Userword' },
  { role: 'assistant', content: 'Answerword', reasoning: 'First thoughtword' },
  { role: 'user', content: 'Userword' },
  { role: 'assistant', content: 'Otherword', reasoning: 'Second thoughtword ' },
];
const inContent = conversation.map(({ reasoning, ...message }) =>
  reasoning ? { ...message, content: `<think>\n${reasoning}\n</think>\n\n${message.content}` } : message,
);

let templates: TrlTemplate[];
before(async () => {
  templates = await trlTemplates();
});

/** The file report of one conversation, for a tiny model with the template. */
async function report(name: string, messages: object[]) {
  const { files } = templates.find((template) => template.name === name)!;
  const config = {
    model_type: 'llama',
    vocab_size: 1 << 12,
    hidden_size: 8,
    intermediate_size: 8,
    num_hidden_layers: 1,
    num_attention_heads: 1,
    num_key_value_heads: 1,
    max_position_embeddings: 1 << 12,
    rms_norm_eps: 1e-5,
  };
  const reporter = createExampleReporter({ tokenizer: loadTokenizer(files), config, maxSeqLength: null });
  await reporter.write(Buffer.from(`${JSON.stringify({ messages })}\n`));
  const { chats, tokens, bad_lines } = await reporter.end();
  assert.deepEqual(bad_lines, { count: 0, listed: [] });
  return { split: chats!.split, preview: tokens!.preview };
}

const lineMessages = conversation.map(({ reasoning, ...message }) =>
  reasoning ? { ...message, reasoning_content: reasoning } : message,
);

for (const [where, messages] of [
  ['its own field', lineMessages],
  ['the content', inContent],
] as const)
  test(`Qwen 3: each turn is an example, and the second lacks the reasoning of the first, given in ${where}`, async () => {
    const { split, preview } = await report('qwen3', messages);
    assert.deepEqual(split, { count: 1, examples: 2 });
    assert.deepEqual(
      preview.map(({ line, dropped_reasoning }) => [line, dropped_reasoning]),
      [
        [1, []],
        [1, [1]],
      ],
    );
    const texts = preview.map(({ sequences }) => sequences[0]!.tokens.map(({ text }) => text).join(''));
    assert.match(texts[0]!, /First thoughtword/);
    assert.doesNotMatch(texts[1]!, /First thoughtword/);
    assert.match(texts[1]!, /Second thoughtword/);
  });

test('a template that does not look ahead splits nothing', async () => {
  const { split, preview } = await report('qwen2_5', lineMessages);
  assert.deepEqual(split, { count: 0, examples: 0 });
  assert.deepEqual(
    preview.map((example) => example.dropped_reasoning),
    [[1, 3]],
  );
});

test('the messages are those whose reasoning is not in the text', () => {
  const found = new Set<string>();
  for (const { name, files } of templates) {
    const tokenizer = loadTokenizer(files);
    const text = tokenizer.applyChatTemplate(conversation);
    const missing = [1, 3].filter((i) => !text.includes(conversation[i]!.reasoning!.trim()));
    assert.deepEqual(droppedReasoning(tokenizer, { messages: conversation }), missing, name);
    found.add(String(missing));
  }
  assert.deepEqual([...found].sort(), ['', '1', '1,3']);
});
