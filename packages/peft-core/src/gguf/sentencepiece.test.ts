import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { GraftError } from '../errors.ts';
import { loadTokenizer } from '../text/index.ts';
import { GgufMetadata, type GgufValue } from './metadata.ts';
import { ggufTokenizer } from './tokenizer.ts';

interface Case {
  metadata: Record<string, GgufValue>;
  merges: [string, string][];
  texts: { text: string; ids: number[]; decoded: string }[];
}

// From scripts/golden/testdata/gguf_sentencepiece.py.
const { cases } = JSON.parse(
  readFileSync(new URL('testdata/gguf-sentencepiece.json', import.meta.url), 'utf8'),
) as { cases: Record<string, Case> };

const filesOf = (metadata: Record<string, GgufValue>) =>
  ggufTokenizer('a.gguf', new GgufMetadata('a.gguf', new Map(Object.entries(metadata))), 128);

for (const [name, { metadata, merges, texts }] of Object.entries(cases)) {
  describe(name, () => {
    const files = filesOf(metadata);
    const tokenizer = loadTokenizer(files);

    test('merges of the tokenizer that the model had', () =>
      assert.deepEqual((files.tokenizerJson.model as { merges: unknown }).merges, merges));

    for (const { text, ids, decoded } of texts) {
      test(JSON.stringify(text), () => {
        assert.deepEqual(tokenizer.encode(text), [1, ...ids]);
        assert.equal(tokenizer.decode(ids), decoded);
      });
    }

    test('control tokens in plain text are text', () => {
      const ids = tokenizer.encode('a <s>b<start>', { specialTokens: 'none' });
      assert.deepEqual(
        ids.filter((id) => tokenizer.isSpecial(id)),
        [1],
      );
      assert.equal(tokenizer.decode(ids.slice(1)), 'a <s>b<start>');
    });
  });
}

test('a vocabulary of the kind "gemma4", with merges in the place of scores, gives the same tokens', () => {
  for (const { metadata, merges, texts } of Object.values(cases)) {
    const { 'tokenizer.ggml.scores': _, ...others } = metadata;
    const listed = merges.map((merge) => merge.join(' '));
    const files = filesOf({ ...others, 'tokenizer.ggml.model': 'gemma4', 'tokenizer.ggml.merges': listed });
    const tokenizer = loadTokenizer(files);
    for (const { text, ids } of texts) assert.deepEqual(tokenizer.encode(text), [1, ...ids]);
  }
});

const { metadata } = cases['as Llama 2']!;
const scores = metadata['tokenizer.ggml.scores'] as number[];
const refusals: Record<string, [Record<string, GgufValue>, RegExp]> = {
  'without scores': [{ 'tokenizer.ggml.scores': scores.slice(1) }, /"tokenizer\.ggml\.scores" does not have/],
  'with a score that is no number': [
    { 'tokenizer.ggml.scores': [Number.NaN, ...scores.slice(1)] },
    /a finite number for each of the \d+ tokens/,
  ],
  'of an unknown kind': [
    { 'tokenizer.ggml.model': 'rwkv' },
    /tokenizer model "rwkv" is not supported; supported: .*SentencePiece/,
  ],
};
for (const [what, [changed, message]] of Object.entries(refusals)) {
  test(`refuses a vocabulary ${what}`, () =>
    assert.throws(
      () => filesOf({ ...metadata, ...changed }),
      (error: GraftError) => message.test(error.message) && error.message.startsWith('a.gguf: '),
    ));
}
