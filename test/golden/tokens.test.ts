/** Graft reads and writes the tokens that transformers does: tiny tokenizer.json and the real model's. */
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { openBaseModel } from '@graft/peft-core/files';
import { loadTokenizer, type Tokenizer } from '@graft/peft-core/text';
import { runPythonJson } from '../../scripts/golden/environment/run-python.ts';
import { realModel } from './fixtures/real-model.ts';
import { tinyFixture } from './fixtures/tiny-fixture.ts';

type Reference = {
  texts: { ids: number[]; decoded: string }[];
  chats: { text: string; prompt: string; ids: number[] }[];
};

const texts = [
  'The gardener grafts a branch.',
  '  two  spaces, a tab\tand\n\n new lines \n',
  'numbers 0 12 345 6789  10, prices 3.50€ and a  1',
  "don't, we'll, I'm; naïve Straße café",
  '東京 🙂 👩‍🌾 héllo Ωμέγα ½ Ⅻ ٣',
  'bytes that the vocabulary lacks: a\u0004b, =\u0004=, !\u0006\u0013!',
  'def f(x):\n        return x ** 2',
  'chat marks <|im_start|>user\nhello<|im_end|> inside text',
  'a',
];
const chats = [
  [{ role: 'user', content: 'How many apples?' }],
  [
    { role: 'system', content: 'Answer in one word.' },
    { role: 'user', content: 'Colour of grass? 🙂' },
    { role: 'assistant', content: 'Green.' },
    { role: 'user', content: 'And of a  lemon 12?' },
    { role: 'assistant', content: 'Yellow.\n' },
  ],
];

for (const [name, find] of [
  ['tiny', async () => (await tinyFixture()).modelFolder('tied')],
  ['SmolLM2', realModel],
] as const) {
  describe(`${name} tokenizer`, () => {
    let tokenizer: Tokenizer;
    let reference: Reference;

    before(async () => {
      const model = await find();
      const base = await openBaseModel(model);
      tokenizer = loadTokenizer(base.tokenizerFiles);
      await base.close();
      [reference] = (await runPythonJson<Reference>('tokens.py', [], { model, texts, chats })) as [Reference];
    });

    test('encodes and decodes as transformers does', () => {
      for (const [i, text] of texts.entries()) {
        const ids = [...tokenizer.encode(text, { addSpecialTokens: false })];
        assert.deepEqual(ids, reference.texts[i]!.ids, JSON.stringify(text));
        assert.equal(tokenizer.decode(ids, { skipSpecialTokens: true }), reference.texts[i]!.decoded);
      }
    });

    test('renders chats as transformers does', () => {
      for (const [i, chat] of chats.entries()) {
        const expected = reference.chats[i]!;
        const text = tokenizer.applyChatTemplate(chat, { addGenerationPrompt: false });
        assert.equal(text, expected.text);
        assert.equal(tokenizer.applyChatTemplate(chat, { addGenerationPrompt: true }), expected.prompt);
        assert.deepEqual([...tokenizer.encode(text, { addSpecialTokens: false })], expected.ids);
      }
    });
  });
}
