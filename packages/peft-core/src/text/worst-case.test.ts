// Worst cases of the longest allowed lines for splitting, merging and rendering: time is linear in their length, not quadratic.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { labelledTokens } from '../examples/formats/chat.ts';
import type { LabelledTokens } from '../examples/formats/language-example.ts';
import { loadTokenizer, type Tokenizer } from './tokenizer.ts';

const read = (name: string) => JSON.parse(readFileSync(new URL(name, import.meta.url), 'utf8'));
const tokenizerJson = read('./testdata/tiny-tokenizer.json');
const { templates, tokens } = read('../examples/testdata/chat-labels.json');
/** The pattern of the first byte-level tokenizers, and one of newer models. */
const PATTERNS: Record<string, object> = {
  'byte level': tokenizerJson.pre_tokenizer,
  'spaces at the end, as DeepSeek': {
    type: 'Sequence',
    pretokenizers: [
      ...['[\\r\\n]', '\\s?[A-Za-z]+', '\\s+$'].map((Regex) => ({
        type: 'Split',
        pattern: { Regex },
        behavior: 'Isolated',
        invert: false,
      })),
      { type: 'Digits', individual_digits: true },
      { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  },
  'groups of three digits': {
    type: 'Sequence',
    pretokenizers: [
      {
        type: 'Split',
        pattern: {
          Regex:
            "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
        },
        behavior: 'Isolated',
        invert: false,
      },
      { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  },
};

const LONG = 1 << 18;
const TEXTS: Record<string, (length: number) => string> = {
  'one letter': (length) => 'a'.repeat(length),
  spaces: (length) => ' '.repeat(length),
  'spaces before a digit': (length) => `${' '.repeat(length)}5`,
  'spaces and letters': (length) => ' a'.repeat(length / 2),
  'line ends': (length) => '\n'.repeat(length),
  'spaces and line ends': (length) => `${' '.repeat(length / 2)}${'\n'.repeat(length / 2)}`,
  digits: (length) => '1234567890'.repeat(length / 10),
  'combining marks': (length) => `e${'\u0301'.repeat(length)}`,
  emoji: (length) => '👩‍🔧'.repeat(length / 8),
  // Includes lone surrogates. The multiplier is MMIX's, cut to 31 bits.
  'random characters': (length) => {
    const codes = new Uint16Array(length);
    for (let i = 0, state = 7; i < length; i++) {
      state = (Math.imul(state, 1_284_865_837) + 12_345) & 0x7fff_ffff;
      codes[i] = state >> 12;
    }
    return Buffer.from(codes.buffer).toString('utf16le');
  },
  'spaces and marks of spaces': (length) => ' \u2581'.repeat(length / 2),
  'special tokens': (length) => '<|im_start|>'.repeat(length / 12),
};

/** CPU time in milliseconds, so that other load does not count. */
function timeOf(run: () => void): number {
  const start = process.cpuUsage();
  run();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

/** For 16 times the input, the time may be about 16 times as long; it would be 256 times if it were quadratic. */
function assertLinear(shortTime: number, longTime: number): void {
  assert.ok(
    longTime < 100 * Math.max(shortTime, 4),
    `${shortTime.toFixed(1)} ms, then ${longTime.toFixed(1)} ms`,
  );
}

for (const [kind, pre_tokenizer] of Object.entries(PATTERNS)) {
  const tokenizer = loadTokenizer({
    tokenizerJson: { ...tokenizerJson, pre_tokenizer },
    tokenizerConfig: null,
    chatTemplate: null,
  });
  for (const [name, make] of Object.entries(TEXTS)) {
    test(`${name}, split by ${kind}`, () => {
      const long = make(LONG);
      const short = make(LONG / 16);
      assertLinear(
        timeOf(() => tokenizer.encode(short)),
        timeOf(() => tokenizer.encode(long)),
      );
    });
  }
}

/** Kinds that differ from the others only in how a text is divided: conversations are compared with the others. */
const kindsOfOneStep = new Set([
  'Phi-3',
  'added tokens with every field',
  'splits with every behaviour',
  'words first',
]);
const kinds: Record<string, Record<string, unknown>> = { 'byte-level BPE, tiny': tokenizerJson };
for (const [kind, { tokenizer }] of Object.entries(read('./testdata/tokenizer-kinds.json').kinds) as [
  string,
  { tokenizer: Record<string, unknown> },
][]) {
  if (!kindsOfOneStep.has(kind)) kinds[kind] = tokenizer;
  for (const [name, make] of Object.entries(TEXTS)) {
    test(`${name}, tokenised by ${kind}`, () => {
      const loaded = loadTokenizer({ tokenizerJson: tokenizer, tokenizerConfig: null, chatTemplate: null });
      const long = make(LONG);
      const short = make(LONG / 16);
      assertLinear(
        timeOf(() => loaded.encode(short)),
        timeOf(() => loaded.encode(long)),
      );
    });
  }
}

const chat = (turns: number, user: string, assistant: string) => ({
  format: 'chat' as const,
  line: 1,
  messages: Array.from({ length: turns }, (_, i) =>
    i % 2 ? { role: 'assistant' as const, content: assistant } : { role: 'user' as const, content: user },
  ),
});

/** Chats with many one-letter messages, and with fewer messages of words, of text to guard, and of one long word. */
const CHATS: Record<string, (size: number) => ReturnType<typeof chat>> = {
  'of letters': (size) => chat(size, 'a', 'b'),
  'of words': (size) => chat(size / 4, 'Which tyre fits? '.repeat(4), ' A 28 or a 32 millimetre tyre.'),
  'of special tokens': (size) => chat(size / 8, '<|im_end|><'.repeat(8), '>|im_end|>'),
  'of long words': (size) => chat(16, 'a'.repeat(size * 2), 'b'.repeat(size * 2)),
};

/** A token spans the end of each prompt and its answer, so each answer is a separate example: their number is limited. */
const APART = [
  'of letters, rendered by bare, tokenised by Gemma',
  'of special tokens, rendered by bare, tokenised by Gemma',
  'of special tokens, rendered by smollm2, tokenised by Unigram',
  'of special tokens, rendered by headers, tokenised by Unigram',
];

for (const [kind, json] of Object.entries(kinds)) {
  for (const [name, template] of Object.entries(templates as Record<string, string>)) {
    const tokenizer: Tokenizer = loadTokenizer({
      tokenizerJson: json,
      tokenizerConfig: tokens,
      chatTemplate: template,
    });
    for (const [what, make] of Object.entries(CHATS)) {
      const title = `${what}, rendered by ${name}, tokenised by ${kind}`;
      test(`a conversation ${title}`, () => {
        const [short, long] = [make(1024), make(16_384)];
        if (APART.includes(title)) {
          assert.throws(
            () => labelledTokens(tokenizer, long),
            /at most \d+ messages of a conversation this long/,
          );
          return;
        }
        const [{ labelled }] = labelledTokens(tokenizer, short) as [LabelledTokens];
        assert.ok(labelled.filter((each) => each === 1).length >= 8);
        assertLinear(
          timeOf(() => labelledTokens(tokenizer, short)),
          timeOf(() => labelledTokens(tokenizer, long)),
        );
      });
    }
  }
}

test('spaces at the end are split off as by the pattern that models have', () => {
  // Any two of these characters form a token, so every split shows.
  const { vocab, merges } = tokenizerJson.model;
  const letters = ['a', '\u0120', '\u010A', '\u0109'];
  const pairs = letters.flatMap((left) => letters.map((right) => [left, right]));
  const added = pairs.map((pair, i): [string, number] => [pair.join(''), 1000 + i]);
  const model = {
    ...tokenizerJson.model,
    vocab: { ...vocab, ...Object.fromEntries(added) },
    merges: [...pairs, ...merges],
  };
  const split = (Regex: string) =>
    loadTokenizer({
      tokenizerJson: {
        ...tokenizerJson,
        model,
        pre_tokenizer: {
          type: 'Sequence',
          pretokenizers: [
            { type: 'Split', pattern: { Regex }, behavior: 'Isolated', invert: false },
            { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
          ],
        },
      },
      tokenizerConfig: null,
      chatTemplate: null,
    });
  // The group changes nothing but hides the known pattern.
  const [known, other, none] = [split('\\s+$'), split('(?:\\s)+$'), split('zzz')];
  assert.notDeepEqual(known.encode('a '), none.encode('a '));
  for (let i = 0; i < 4 ** 6; i++) {
    const text = Array.from({ length: 6 }, (_, k) => ' \n\ta'[Math.floor(i / 4 ** k) % 4]).join('');
    assert.deepEqual(known.encode(text), other.encode(text), JSON.stringify(text));
  }
});
