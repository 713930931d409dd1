/** An untrained model calls a tool in every style, because its grammar allows nothing else. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import type { Tool } from '../../chat/message.ts';
import { toolStyles } from '../../chat/tool-styles/tool-styles.ts';
import { openBaseModel } from '../../files.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { tinyTokenizerConfig, writeTinyModel } from '../../testing/tiny-model.ts';
import { Generator } from '../generator.ts';

const inFolder = tempFolder();

interface Template {
  /** Text by which it is recognised. */
  text: string;
  /** Marks that are special tokens. */
  special?: string[];
  /** Marks, of those, that open and close reasoning. */
  reasoning?: [string, string];
}

const templates: Record<string, Template[]> = {
  channels: [
    {
      text: '<|channel|><|message|>',
      special: ['<|channel|>', '<|message|>', '<|call|>', '<|end|>'],
      reasoning: ['<|channel|>', '<|end|>'],
    },
  ],
  braces: [
    { text: '<|tool_call>call:', special: ['<|tool_call>', '<tool_call|>', '<|"|>'] },
    {
      text: '<|tool_call>call:<|channel>thought',
      special: ['<|tool_call>', '<tool_call|>', '<|"|>', '<|channel>', '<channel|>'],
      reasoning: ['<|channel>', '<channel|>'],
    },
  ],
  'tagged-parameters': [{ text: '<tool_call><function=<parameter=' }],
  'listed-json': [
    { text: '[TOOL_CALLS]', special: ['[TOOL_CALLS]'] },
    { text: '[TOOL_CALLS][ARGS]' },
    {
      text: '[TOOL_CALLS][ARGS][/THINK]',
      special: ['[TOOL_CALLS]', '[ARGS]', '[THINK]', '[/THINK]'],
      reasoning: ['[THINK]', '[/THINK]'],
    },
  ],
  pythonic: [{ text: '<|tool_call_start|>', special: ['<|tool_call_start|>'] }, { text: '[func_name1(' }],
  'tagged-json': [{ text: '<tool_call>' }, { text: '<tool_call>', special: ['<tool_call>', '</tool_call>'] }],
  'bare-json': [{ text: '{"name": "parameters": ' }],
};

const tools: Tool[] = [
  {
    type: 'function',
    function: {
      name: 'set_light',
      parameters: {
        type: 'object',
        properties: {
          room: { type: 'string', enum: ['attic', 'the "den"'] },
          on: { type: 'boolean' },
          level: { type: 'integer', enum: [1, 2] },
        },
        required: ['room', 'on'],
        additionalProperties: false,
      },
    },
  },
  { type: 'function', function: { name: 'stop' } },
];

async function openModel(name: string, text: string, special: readonly string[]): Promise<string> {
  const folder = inFolder(name);
  // Ids from 260 on are for special tokens of a style.
  await writeTinyModel(folder, { max_position_embeddings: 2048, vocab_size: 266 });
  const chat_template = `{{ tools | length }}{% for message in messages %}{{ message['content'] }}</s>{% endfor %}{# ${text} #}`;
  await writeFile(
    path.join(folder, 'tokenizer_config.json'),
    JSON.stringify({ ...tinyTokenizerConfig, chat_template }),
  );
  const file = path.join(folder, 'tokenizer.json');
  const tokenizer = JSON.parse(await readFile(file, 'utf8')) as { added_tokens: object[] };
  const [first] = tokenizer.added_tokens;
  tokenizer.added_tokens.push(...special.map((content, i) => ({ ...first, id: 260 + i, content })));
  await writeFile(file, JSON.stringify(tokenizer));
  return folder;
}

for (const style of toolStyles)
  for (const [i, { text, special = [], reasoning }] of templates[style.name]!.entries())
    test(`${style.name}: ${text}${special.length > 0 ? ', special' : ''}`, async () => {
      // The model reasons "o", until the penalty makes the end of the reasoning more probable.
      const [open, close] = (reasoning ?? []).map((mark) => 260 + special.indexOf(mark));
      const logit_bias = reasoning ? { [open!]: 30, 111: 60, [close!]: 40 } : {};
      const base = await openBaseModel(await openModel(`${style.name}-${i}`, text, special), {
        digestCache: inFolder(),
      });
      const generator = await Generator.open({ base, context: 1024, rows: 4 });
      try {
        const seen = new Set<string>();
        for (const tool_choice of ['required', { name: 'set_light' }, { name: 'stop' }] as const) {
          const calls: { name: string; arguments: string }[] = [];
          const request = {
            messages: [{ role: 'user', content: 'a' }],
            tools,
            tool_choice,
            parallel_tool_calls: false,
            logit_bias,
            frequency_penalty: 2,
            separate_reasoning: true,
          };
          const answer = generator.generate({ ...request, temperature: 1, seed: i, max_tokens: 400 });
          let thought = '';
          for (;;) {
            const next = await answer.next();
            if (next.done) {
              assert.equal(next.value.finishReason, 'tool_calls');
              break;
            }
            assert.equal(next.value.text, '');
            thought += next.value.reasoning ?? '';
            for (const { index, name, arguments: part } of next.value.calls ?? []) {
              calls[index] ??= { name: name!, arguments: '' };
              calls[index].arguments += part;
            }
          }
          assert.match(thought, reasoning ? /^o{8,12}$/ : /^$/);
          assert.equal(calls.length, 1);
          const values = JSON.parse(calls[0]!.arguments) as Record<string, unknown>;
          seen.add(calls[0]!.name);
          if (calls[0]!.name === 'stop') assert.deepEqual(values, {});
          else {
            assert.ok(['attic', 'the "den"'].includes(values.room as string), calls[0]!.arguments);
            assert.equal(typeof values.on, 'boolean');
            assert.ok([undefined, 1, 2].includes(values.level as number), calls[0]!.arguments);
          }
        }
        assert.deepEqual([...seen].sort(), ['set_light', 'stop']);
      } finally {
        await generator.close();
        await base.close();
      }
    });
