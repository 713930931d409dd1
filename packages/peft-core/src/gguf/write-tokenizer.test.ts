import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { families, familyOf } from '../outlines/families.ts';
import { byteTokenizer, tinyTokenizerConfig } from '../testing/tiny-model.ts';
import type { TokenizerFiles } from '../text/tokenizer.ts';
import { GgufMetadata, type GgufValue } from './metadata.ts';
import { preTokenizers } from './pre-tokenizers.ts';
import { ggufTokenizer } from './tokenizer.ts';
import { tokenizerFields } from './write-tokenizer.ts';

// From scripts/golden/testdata/gguf_sentencepiece.py.
const { cases } = JSON.parse(
  readFileSync(new URL('testdata/gguf-sentencepiece.json', import.meta.url), 'utf8'),
) as { cases: Record<string, { metadata: Record<string, GgufValue>; merges: [string, string][] }> };

const read = (metadata: Record<string, unknown>) => {
  const values = new Map(Object.entries(metadata as Record<string, GgufValue>));
  return ggufTokenizer('a.gguf', new GgufMetadata('a.gguf', values), 128);
};

const written = (
  files: TokenizerFiles,
  rows: number,
  ends: number[] = [],
  config: Record<string, unknown> = { model_type: 'llama' },
) => {
  const found = familyOf(String(config.model_type));
  const family = (found.textGguf?.({ text_config: {}, ...config }) ?? found.gguf)!;
  const fields = Object.entries(tokenizerFields(files, { rows, ends, config, family }));
  return Object.fromEntries(
    fields.map(([key, { value }]) => [
      key,
      ArrayBuffer.isView(value) ? Array.from(value as Float32Array) : value,
    ]),
  ) as Record<string, GgufValue>;
};

for (const [name, { metadata }] of Object.entries(cases))
  describe(`SentencePiece, ${name}`, () => {
    const files = read(metadata);
    const fields = written(files, (metadata['tokenizer.ggml.tokens'] as string[]).length);

    test('read again, it is the same tokenizer', () => assert.deepEqual(read(fields), files));

    test('tokens, their types and the kind are those of the file it came from', () => {
      for (const key of ['model', 'tokens', 'token_type'])
        assert.deepEqual(fields[`tokenizer.ggml.${key}`], metadata[`tokenizer.ggml.${key}`], key);
    });

    test('scores fall in the order of the merges', () => {
      const scores = fields['tokenizer.ggml.scores'] as number[];
      const stored = metadata['tokenizer.ggml.scores'] as number[];
      const types = metadata['tokenizer.ggml.token_type'] as number[];
      const merged = new Set(cases[name]!.merges.map((pair) => pair.join('')));
      const tokens = metadata['tokenizer.ggml.tokens'] as string[];
      const ids = tokens.flatMap((token, id) =>
        types[id] === 1 && merged.has(token.replaceAll(' ', '▁')) ? [id] : [],
      );
      for (const a of ids)
        for (const b of ids)
          if (stored[a]! > stored[b]!) assert.ok(scores[a]! > scores[b]!, `${tokens[a]} before ${tokens[b]}`);
    });
  });

const byteFiles = (json: Record<string, unknown> = {}): TokenizerFiles => ({
  tokenizerJson: { ...byteTokenizer(), ...json },
  tokenizerConfig: tinyTokenizerConfig,
  chatTemplate: null,
});

test('byte-level BPE: rows without a token, other ends of answers, and whether bos is added', () => {
  const fields = written(byteFiles(), 264, [257, 259]);
  assert.equal(fields['tokenizer.ggml.model'], 'gpt2');
  assert.equal(fields['tokenizer.ggml.pre'], 'gpt-2');
  assert.deepEqual((fields['tokenizer.ggml.tokens'] as string[]).slice(255), [
    'ÿ',
    '<s>',
    '</s>',
    '<pad>',
    '<unk>',
    '[PAD260]',
    '[PAD261]',
    '[PAD262]',
    '[PAD263]',
  ]);
  assert.deepEqual((fields['tokenizer.ggml.token_type'] as number[]).slice(255), [1, 3, 3, 3, 3, 5, 5, 5, 5]);
  assert.equal(fields['tokenizer.ggml.bos_token_id'], 256);
  assert.equal(fields['tokenizer.ggml.eos_token_id'], 257);
  assert.equal(fields['tokenizer.ggml.eot_token_id'], 259);
  assert.equal(fields['tokenizer.ggml.add_bos_token'], false);
  assert.equal(fields['tokenizer.chat_template'], tinyTokenizerConfig.chat_template);
  const beyond = written(byteFiles(), 257, [-1, 1.5, 257, 300, 65]);
  assert.equal(beyond['tokenizer.ggml.eos_token_id'], 65);
  assert.equal(beyond['tokenizer.ggml.eot_token_id'], undefined);
  const model = { ...(byteTokenizer().model as object), unk_token: '<unk>' };
  assert.equal(written(byteFiles({ model }), 260)['tokenizer.ggml.unknown_token_id'], 259);
  assert.equal(written(byteFiles({ model }), 259)['tokenizer.ggml.unknown_token_id'], undefined);
  // A smaller embedding: tokens without a row are left out.
  assert.equal((written(byteFiles(), 258)['tokenizer.ggml.tokens'] as string[]).length, 258);
});

test('what files cannot express is refused', () => {
  const refuse = (json: Record<string, unknown>, reason: RegExp) =>
    assert.throws(() => written(byteFiles(json), 260), { code: 'unsupported_tokenizer', message: reason });
  refuse({ model: { type: 'WordPiece', vocab: { a: 0 }, unk_token: 'a' } }, /its model is WordPiece/);
  const split = { type: 'Split', pattern: { Regex: '\\\\d+' }, behavior: 'Isolated', invert: false };
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
  refuse(
    { pre_tokenizer: { type: 'Sequence', pretokenizers: [split, byteLevel] } },
    /no known name for its pre_tokenizer .*smollm.*; export it as merged$/,
  );
  const known = { ...split, pattern: { Regex: preTokenizers['llama-bpe']!.pattern! } };
  refuse(
    { pre_tokenizer: { type: 'Sequence', pretokenizers: [split, known, byteLevel] } },
    /no known name for its pre_tokenizer/,
  );
  const lowercase = { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Lowercase' }] };
  refuse({ normalizer: lowercase }, /does not normalise texts by Lowercase .*; export it as merged$/);
});

test('words that are tokens: the flag ignore_merges may be left out where merges give the same tokens', () => {
  const split = {
    type: 'Split',
    pattern: { Regex: preTokenizers['gpt-4o']!.pattern! },
    behavior: 'Isolated',
    invert: false,
  };
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, use_regex: false };
  const plain = byteTokenizer().model as { vocab: Record<string, number> };
  const files = (merges: [string, string][]) =>
    byteFiles({
      pre_tokenizer: { type: 'Sequence', pretokenizers: [split, byteLevel] },
      model: { ...plain, vocab: { ...plain.vocab, ab: 260, abc: 261 }, merges, ignore_merges: true },
    });
  const pairs: [string, string][] = [
    ['a', 'b'],
    ['ab', 'c'],
  ];
  assert.equal(written(files(pairs), 262)['tokenizer.ggml.pre'], 'gpt-4o');
  // Without the second merge, "abc" is a token only where it is a word.
  assert.throws(() => written(files(pairs.slice(0, 1)), 262), /no known name for its pre_tokenizer/);
});

// From scripts/golden/testdata/gguf_converter.py.
const { cases: converted } = JSON.parse(
  readFileSync(new URL('testdata/gguf-converter.json', import.meta.url), 'utf8'),
) as { cases: Record<string, ConverterCase> };

interface ConverterCase {
  modelTypes: string[];
  config: Record<string, unknown>;
  rows: number;
  tokenizerJson: Record<string, unknown>;
  tokenizerConfig: Record<string, unknown>;
  fields: Record<string, GgufValue>;
}

describe("llama.cpp's converter", () => {
  test('every family with GGUF files has a case', () => {
    const written = families.filter(({ gguf, textGguf }) => gguf ?? textGguf?.({ text_config: {} }));
    const compared = new Set(Object.values(converted).flatMap(({ modelTypes }) => modelTypes));
    assert.deepEqual(written.map(({ modelType }) => modelType).sort(), [...compared].sort());
  });

  for (const [name, { modelTypes, config, rows, tokenizerJson, tokenizerConfig, fields }] of Object.entries(
    converted,
  ))
    test(`${name}: writes the same tokens, types and ids`, () => {
      const files = { tokenizerJson, tokenizerConfig, chatTemplate: null };
      for (const model_type of modelTypes) {
        const found = written(files, rows, [], { ...config, model_type });
        for (const [key, value] of Object.entries(fields)) {
          // llama.cpp reads the first for models of other kinds, the second only for SentencePiece.
          const isRead =
            key !== 'tokenizer.ggml.add_sep_token' && !(name === 'granite' && key.endsWith('space_prefix'));
          // The scores of a SentencePiece model are not in tokenizer.json: their order is compared.
          if (isRead && !(key === 'tokenizer.ggml.scores' && fields['tokenizer.ggml.model'] === 'llama'))
            assert.deepEqual(found[key], value, `${model_type}: ${key}`);
        }
        for (const key of Object.keys(found)) {
          // Files say whether a text starts with bos where the converter leaves it to the runtime.
          if (key in fields || /add_(bos|eos)_token|add_space_prefix/.test(key)) continue;
          assert.fail(`${model_type}: ${key} is not in the converter's file`);
        }
        compareScores(found, fields);
      }
    });
});

/** Scores of tokens that merges form fall in the same order; those of all others are equal. */
function compareScores(found: Record<string, GgufValue>, expected: Record<string, GgufValue>): void {
  if (expected['tokenizer.ggml.model'] !== 'llama') return;
  const types = expected['tokenizer.ggml.token_type'] as number[];
  const [own, theirs] = [found, expected].map((fields) => fields['tokenizer.ggml.scores'] as number[]);
  const normal = types.flatMap((type, id) => (type === 1 ? [id] : []));
  for (const [id, type] of types.entries()) if (type !== 1) assert.equal(own![id], theirs![id], String(id));
  const merged = normal.filter((id) => own![id]! < 0).sort((a, b) => own![b]! - own![a]!);
  for (let i = 1; i < merged.length; i++) assert.ok(theirs![merged[i - 1]!]! > theirs![merged[i]!]!);
}
