// Every kind of tokenizer produces the tokens of Hugging Face's tokenizers library, also if special tokens are plain text.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { tokenizeExamples } from '../examples/tokenize-examples.ts';
import { loadTokenizer } from './tokenizer.ts';

interface Kind {
  tokenizer: Record<string, unknown>;
  texts: { text: string; ids: number[]; plain: number[]; cut: number[] }[];
}

const golden = JSON.parse(
  readFileSync(new URL('./testdata/tokenizer-kinds.json', import.meta.url), 'utf8'),
) as { config: Record<string, unknown>; kinds: Record<string, Kind> };

for (const [name, { tokenizer: tokenizerJson, texts }] of Object.entries(golden.kinds)) {
  describe(name, () => {
    const tokenizer = loadTokenizer({ tokenizerJson, tokenizerConfig: golden.config, chatTemplate: null });
    /** Special tokens, except the first and last token and the unknown token. */
    const special = (ids: number[]) =>
      ids.slice(1, -1).filter((id) => id !== unknown && tokenizer.isSpecial(id));
    const unknown = tokenizer.encode('<unk>', { addSpecialTokens: false })[0];
    for (const { text, ids, plain, cut } of texts) {
      test(JSON.stringify(text), () => {
        assert.deepEqual(tokenizer.encode(text, { repeatsBos: true }), ids);
        // A text that starts with the bos token does not get a second one.
        assert.deepEqual(tokenizer.encode(text), ids[0] === ids[1] ? ids.slice(1) : ids);
        const found = tokenizer.encode(text, { specialTokens: 'none' });
        // The library's Unigram finds special tokens even in plain text, since they are in its vocabulary.
        if (special(plain).length === 0) assert.deepEqual(found, plain);
        else assert.equal(name, 'Unigram');
        assert.deepEqual(special(found), []);
        const raw = { format: 'classification', line: 1, text, label: 0 } as const;
        const options = {
          maxSeqLength: 6,
          overlong: 'truncate',
          classOf: () => 0,
          repeatsBos: true,
        } as const;
        const [example] = tokenizeExamples(tokenizer, [raw], options);
        assert.deepEqual([...example!.sequences[0]!.ids], cut);
      });
    }
  });
}
