import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { GraftError } from '../errors.ts';
import { Random } from '../random.ts';
import { loadTokenizer } from './tokenizer.ts';

const tokenizerJson = JSON.parse(
  readFileSync(new URL('./testdata/tiny-tokenizer.json', import.meta.url), 'utf8'),
);
const tokenizerConfig = {
  bos_token: '<s>',
  eos_token: { content: '</s>', special: true },
  pad_token: '<|endoftext|>',
};
const tokenizer = loadTokenizer({ tokenizerJson, tokenizerConfig, chatTemplate: null });

const TEXTS = [
  'A bent wheel',
  'Größe: 32 mm, 5 €',
  '自転車 🚲 велосипед',
  '👩‍🔧 é e\u0301 \u0000 \uFFFD!',
  ' <|im_end|> tail',
];

const encodings = JSON.parse(readFileSync(new URL('./testdata/encodings.json', import.meta.url), 'utf8'));

for (const { text, ids } of encodings.cases as { text: string; ids: number[] }[]) {
  test(`transformers' tokens of ${JSON.stringify(text)}`, () =>
    assert.deepEqual(tokenizer.encode(text), ids));
}

test('special tokens have their ids; unknown ones are null', () => {
  assert.deepEqual([tokenizer.bosId, tokenizer.eosId, tokenizer.padId], [3, 4, 0]);
  assert.equal(loadTokenizer({ tokenizerJson, tokenizerConfig: null, chatTemplate: null }).eosId, null);
  assert.ok(tokenizer.isSpecial(2));
  assert.ok(!tokenizer.isSpecial(tokenizer.encode('<think>')[0] as number));
});

test('text survives encoding and decoding', () => {
  for (const text of TEXTS) assert.equal(tokenizer.decode(tokenizer.encode(text)), text);
  assert.equal(tokenizer.decode([]), '');
  assert.deepEqual(tokenizer.encode(''), []);
  assert.equal(tokenizer.decode([3, 4], { skipSpecialTokens: true }), '');
});

test('a stream of tokens gives the same text, and never half a character', () => {
  for (const text of [...TEXTS, TEXTS.join(' ').repeat(8)]) {
    const decoder = tokenizer.streamDecoder();
    const ids = tokenizer.encode(text);
    const pieces = [...ids.map((id) => decoder.push(id)), decoder.end()];
    assert.equal(pieces.join(''), tokenizer.decode(ids, { skipSpecialTokens: true }));
    if (text.includes('\uFFFD')) continue;
    for (const piece of pieces)
      assert.ok(!piece.includes('\uFFFD') && !/[\ud800-\udbff]$/.test(piece), JSON.stringify(piece));
  }
});

test('broken bytes stream to the same text as they decode to', () => {
  const vocabulary = tokenizerJson.model.vocab as Record<string, number>;
  // The byte-level alphabet's characters for the bytes E2 82 AC (€), 80 and F0.
  const bytes = ['â', 'Ĥ', '¬', 'Ģ', 'ð', 'A'].map((character) => vocabulary[character] as number);
  const random = new Random(1, 'test');
  for (let round = 0; round < 200; round++) {
    const ids = Array.from(
      { length: 1 + random.integer(round % 2 ? 60 : 400) },
      () => bytes[random.integer(bytes.length)] as number,
    );
    const decoder = tokenizer.streamDecoder();
    const streamed = ids.map((id) => decoder.push(id)).join('') + decoder.end();
    assert.equal(streamed, tokenizer.decode(ids));
  }
});

test('a tokenizer.json of an unknown kind is refused', () => {
  assert.throws(
    () =>
      loadTokenizer({
        tokenizerJson: { model: { type: 'Magic' } },
        tokenizerConfig: null,
        chatTemplate: null,
      }),
    (error: GraftError) => error.code === 'unsupported_tokenizer',
  );
});

test('the chat template may lie in tokenizer_config.json, alone or by name', () => {
  const render = (chat_template: unknown) =>
    loadTokenizer({
      tokenizerJson,
      tokenizerConfig: { chat_template },
      chatTemplate: null,
    }).applyChatTemplate([]);
  assert.equal(render('plain'), 'plain');
  assert.equal(
    render([
      { name: 'tool_use', template: 'tools' },
      { name: 'default', template: 'named' },
    ]),
    'named',
  );
  assert.throws(
    () => render(undefined),
    (error: GraftError) => error.code === 'no_chat_template',
  );
});
