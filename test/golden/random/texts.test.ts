/** Every kind of tokenizer makes the tokens of Hugging Face's tokenizers library of 10,000 random strings in many scripts. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { loadTokenizer, type Tokenizer } from '@graft/peft-core/text';
import { runPythonJson } from '../../../scripts/golden/environment/run-python.ts';

interface Reference {
  ids: number[][];
  /** Ends of the tokens in code points of the text. */
  ends: number[][];
  plain: number[][];
  decoded: string[];
}

const file = join(import.meta.dirname, '../../../packages/peft-core/src/text/testdata/tokenizer-kinds.json');
const { kinds } = JSON.parse(readFileSync(file, 'utf8')) as {
  kinds: Record<string, { tokenizer: Record<string, unknown> }>;
};
const names = Object.keys(kinds);
const [{ texts }, ...references] = (await runPythonJson('random_texts.py', [], {
  tokenizers: names.map((name) => ({ file, path: ['kinds', name, 'tokenizer'] })),
  count: 10_000,
  seed: 17,
  words: ['<unk>', '<s>', '</s>', '<|im_start|>', '<|im_end|>', '<think>', '</table>', '<unused7>'].concat([
    '<|user|>',
    '<|end|>',
    '<mask>',
    '<|both|>',
    'wheel',
    'Bent',
    'tyre',
  ]),
})) as [{ texts: string[] }, ...Reference[]];

/** Kinds whose tokens end in the library where they end in Graft: elsewhere a normalizer changes, or a step removes, characters. */
const measured = [
  'byte-level BPE',
  'byte-level BPE with a prefix space',
  'SentencePiece BPE, normalised',
  'SentencePiece BPE, pre-tokenised',
  'Gemma',
];

for (const [i, name] of names.entries()) {
  describe(name, () => {
    const tokenizer = loadTokenizer({
      tokenizerJson: kinds[name]!.tokenizer,
      tokenizerConfig: null,
      chatTemplate: null,
    });
    const { ids, ends, plain, decoded } = references[i]!;

    test('tokens', () => {
      for (const [j, text] of texts.entries())
        assert.deepEqual(tokenizer.encode(text, { addSpecialTokens: false }), ids[j], JSON.stringify(text));
    });

    // The library's Unigram finds special tokens even in plain text, since they are in its vocabulary.
    test('tokens without special tokens', { skip: name === 'Unigram' }, () => {
      const options = { addSpecialTokens: false, specialTokens: 'none' } as const;
      for (const [j, text] of texts.entries())
        assert.deepEqual(tokenizer.encode(text, options), plain[j], JSON.stringify(text));
    });

    test('texts of tokens, together and as a stream', () => {
      for (const [j, text] of decoded.entries()) {
        assert.equal(tokenizer.decode(ids[j]!), text, JSON.stringify(texts[j]));
        if (j >= 2000) continue;
        const stream = tokenizer.streamDecoder(new Set(ids[j]));
        const pieces = ids[j]!.map((id) => stream.push(id));
        assert.equal(pieces.join('') + stream.end(), text);
      }
    });

    test('numbers of tokens that end in each beginning', { skip: !measured.includes(name) }, () => {
      for (const [j, text] of texts.slice(0, 3000).entries()) assertEnds(tokenizer, text, ends[j]!);
    });
  });
}

function assertEnds(tokenizer: Tokenizer, text: string, ends: readonly number[]): void {
  const whole = tokenizer.encodeWhole({ text, specialTokens: 'all' });
  let at = 0;
  for (const [count, character] of [...text].entries()) {
    at += character.length;
    const next = ends.findIndex((end) => end > count + 1);
    const expected = next === -1 ? ends.length : next;
    assert.equal(whole.beginning(at).tokens, expected, JSON.stringify([text, at]));
  }
}
