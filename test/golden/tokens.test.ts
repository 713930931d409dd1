/** Graft reads and writes the tokens that transformers does: tiny tokenizer.json and the real model's. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { tokenizeExamples } from '@graft/peft-core/examples';
import { openBaseModel } from '@graft/peft-core/files';
import { loadTokenizer, type Tokenizer } from '@graft/peft-core/text';
import { runPythonJson } from '../../scripts/golden/environment/run-python.ts';
import { realModel } from './fixtures/real-model.ts';
import { tinyFixture } from './fixtures/tiny-fixture.ts';

type Reference = {
  /** `whole`: with what the tokenizer puts around a text. */
  texts: { ids: number[]; whole: number[]; decoded: string }[];
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

/** Uses a tokenizer that puts a bos token before each text, as Llama's do. */
test('a text that is rendered already gets no second bos token: the tokens are those without special tokens', async () => {
  const model = await mkdtemp(join(tmpdir(), 'graft-bos-'));
  try {
    await cp((await tinyFixture()).modelFolder('tied'), model, { recursive: true });
    const file = join(model, 'tokenizer.json');
    const json = JSON.parse(await readFile(file, 'utf8'));
    const { bosId } = loadTokenizer((await openAndClose(model)).tokenizerFiles);
    const bos = json.added_tokens.find(({ id }: { id: number }) => id === bosId).content as string;
    json.post_processor = {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: bos, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
      special_tokens: { [bos]: { id: bos, ids: [bosId], tokens: [bos] } },
    };
    await writeFile(file, JSON.stringify(json));
    const plain = ['The gardener grafts a branch.', ` ${bos}later`, ''];
    const rendered = [`${bos}The gardener grafts a branch.`, bos, `${bos}${bos}twice`];
    const plan = { model, texts: [...plain, ...rendered], chats: [] };
    const [{ texts }] = (await runPythonJson<Reference>('tokens.py', [], plan)) as [Reference];
    const tokenizer = loadTokenizer((await openAndClose(model)).tokenizerFiles);
    for (const [i, text] of plan.texts.entries()) {
      const { ids, whole } = texts[i]!;
      assert.deepEqual(whole, [bosId, ...ids], 'transformers puts it before every text');
      const isRendered = rendered.includes(text);
      assert.deepEqual(tokenizer.encode(text), isRendered ? ids : whole, JSON.stringify(text));
      // As in jobs of earlier versions.
      assert.deepEqual(tokenizer.encode(text, { repeatsBos: true }), whole);
      const line = { format: 'text', line: 1, text: `${text} end` } as const;
      const [example] = tokenizeExamples(tokenizer, [line], { maxSeqLength: 64 });
      const bosCount = example!.sequences[0]!.ids.filter((id) => id === bosId).length;
      assert.equal(
        bosCount,
        (text.match(new RegExp(bos.replaceAll('|', '\\|'), 'g')) ?? []).length + (isRendered ? 0 : 1),
      );
      // Plain text in a prompt is no bos token.
      const asked = { format: 'prompt_completion', line: 1, prompt: text, completion: ' end' } as const;
      const [guarded] = tokenizeExamples(tokenizer, [asked], { maxSeqLength: 64 });
      assert.equal(guarded!.sequences[0]!.ids.filter((id) => id === bosId).length, 1);
      const [allowed] = tokenizeExamples(tokenizer, [asked], { maxSeqLength: 64, allowSpecialTokens: true });
      assert.equal(allowed!.sequences[0]!.ids.filter((id) => id === bosId).length, bosCount);
    }
  } finally {
    await rm(model, { recursive: true });
  }
});

async function openAndClose(model: string) {
  const base = await openBaseModel(model);
  await base.close();
  return base;
}
