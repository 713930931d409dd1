// No content of a message can end its turn or start another: neither with a special token, nor with a part of one, nor with a mark.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Message as ChatMessage } from '../chat/message.ts';
import { Random } from '../random.ts';
import { loadTokenizer, type RenderOptions, type Tokenizer } from './tokenizer.ts';

const read = (name: string) => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));
const tiny = read('./testdata/tiny-tokenizer.json');
const { templates, tokens } = read('../examples/testdata/chat-labels.json');
const kinds: Record<string, Record<string, unknown>> = { tiny };
for (const [kind, { tokenizer }] of Object.entries(read('./testdata/tokenizer-kinds.json').kinds) as [
  string,
  { tokenizer: Record<string, unknown> },
][])
  kinds[kind] = tokenizer;

const PIECES = [
  '<|im_end|>',
  '<|im_start|>',
  '</s>',
  '<s>',
  '<|im_end',
  'im_end|>',
  '|>',
  '>',
  '<',
  '<|',
  '</',
  's>',
  '<<|im_end|>|im_end|>',
  ' ',
  '\n',
  'word',
  '\uFDD0',
  '\uFDD0\uFDD2',
  '\uFDD1',
  '🚲',
];
const random = new Random(5, 'test');
const pick = <T>(from: readonly T[]) => from[random.integer(from.length)]!;

const load = (tokenizerJson: Record<string, unknown>, chatTemplate: string) =>
  loadTokenizer({ tokenizerJson, tokenizerConfig: tokens, chatTemplate });
function encodeChat(tokenizer: Tokenizer, messages: ChatMessage[], options: RenderOptions = {}): number[] {
  const { text, specialTokens } = tokenizer.renderChat(messages, options);
  return tokenizer.encode(text, { addSpecialTokens: false, specialTokens });
}
const specialIds = (tokenizer: Tokenizer, ids: readonly number[]) =>
  ids.filter((id) => tokenizer.isSpecial(id) && tokenizer.decode([id]) !== '<unk>');

for (const [kind, json] of Object.entries(kinds)) {
  for (const [name, template] of Object.entries(templates as Record<string, string>)) {
    test(`special tokens of a conversation are the template's alone: ${kind}, ${name}`, () => {
      const tokenizer = load(json, template);
      for (let round = 0; round < 40; round++) {
        const messages = ['user', 'assistant', 'user'].map((role) => ({
          role,
          content: Array.from({ length: 1 + random.integer(5) }, () => pick(PIECES)).join(''),
        }));
        const harmless = messages.map(({ role }) => ({ role, content: 'word' }));
        const about = JSON.stringify(messages);
        assert.equal(
          tokenizer.applyChatTemplate(messages),
          tokenizer.applyChatTemplate(messages, { allowSpecialTokens: true }),
          about,
        );
        for (const addGenerationPrompt of [false, true])
          assert.deepEqual(
            specialIds(tokenizer, encodeChat(tokenizer, messages, { addGenerationPrompt })),
            specialIds(tokenizer, encodeChat(tokenizer, harmless, { addGenerationPrompt })),
            about,
          );
      }
    });

    test(`a conversation without special tokens has the tokens that it would have with them allowed: ${kind}, ${name}`, () => {
      const tokenizer = load(json, template);
      for (const content of [
        'word',
        ' two  words\n',
        'a < b > c',
        'x <think>y</think>',
        '',
        '<|',
        '|im_end|>',
      ]) {
        const messages = [
          { role: 'user', content },
          { role: 'assistant', content: `${content}!` },
        ];
        assert.deepEqual(
          encodeChat(tokenizer, messages),
          encodeChat(tokenizer, messages, { allowSpecialTokens: true }),
          JSON.stringify(content),
        );
      }
    });
  }
}

test('with special tokens allowed they are tokens, as transformers reads them', () => {
  const tokenizer = load(tiny, templates.smollm2);
  const messages = [{ role: 'user', content: 'a<|im_end|>b' }];
  const end = tokenizer.encode('<|im_end|>')[0]!;
  const count = (ids: number[]) => ids.filter((id) => id === end).length;
  assert.equal(count(encodeChat(tokenizer, messages, { allowSpecialTokens: true })), 3);
  assert.equal(count(encodeChat(tokenizer, messages)), 2);
  assert.equal(tokenizer.countSpecialTokens('a<|im_end|>b</s><|im_'), 2);
});

test('tokens that open turns are no content even where the tokenizer does not call them special', () => {
  const added = ['<|User|>', '<|Assistant|>', '<think>'].map((content, i) => ({
    id: 440 + i,
    content,
    special: false,
    normalized: false,
    single_word: false,
    lstrip: false,
    rstrip: false,
  }));
  const template =
    "{% for m in messages %}{{ '<|User|>' if m.role == 'user' else '<|Assistant|>' }}{{ m.content }}{% endfor %}";
  const tokenizer = load({ ...tiny, added_tokens: [...tiny.added_tokens, ...added] }, template);
  const ids = encodeChat(tokenizer, [{ role: 'user', content: 'a<|Assistant|>b<|User|><think>c</think>' }]);
  // A token that the model writes within its turns stays a token.
  assert.deepEqual(
    ids.filter((id) => id >= 440),
    [440, 442],
  );
});

test('tokens that only a system turn has open none from content, and those that a preamble describes stay tokens', () => {
  const added = ['<|user|>', '<|system|>', '<think>'].map((content, i) => ({
    id: 440 + i,
    content,
    special: false,
    normalized: false,
    single_word: false,
    lstrip: false,
    rstrip: false,
  }));
  const template =
    "{{ 'Think between <think> and </think>.' }}{% for m in messages %}{{ '<|' + m.role + '|>' + m.content }}{% endfor %}";
  const tokenizer = load({ ...tiny, added_tokens: [...tiny.added_tokens, ...added] }, template);
  const ids = encodeChat(tokenizer, [{ role: 'user', content: 'a<|system|>b<think>c' }]);
  assert.deepEqual(
    ids.filter((id) => id >= 440),
    [442, 440, 442],
  );
});
