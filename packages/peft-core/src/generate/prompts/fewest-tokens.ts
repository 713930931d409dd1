import { byteAlphabet } from '../../text/byte-level-bpe.ts';
import type { TokenizerFiles } from '../../text/index.ts';

interface Step {
  type?: string;
  behavior?: string;
  content?: string;
  pattern?: { String?: string };
  normalizers?: Step[];
  pretokenizers?: Step[];
}

interface TokenizerJson {
  model?: {
    type?: string;
    vocab?: Record<string, number>;
    unk_token?: string | null;
    byte_fallback?: boolean;
    continuing_subword_prefix?: string | null;
    continuing_subword_suffix?: string | null;
    end_of_word_suffix?: string | null;
  };
  normalizer?: Step | null;
  pre_tokenizer?: Step | null;
  added_tokens?: { content: string; lstrip?: boolean; rstrip?: boolean }[];
}

/** NFC makes one byte of 3 at most: U+1FEF becomes a grave accent. */
const nfcShrinks = 3;

/**
 * How many tokens a text has at least, by the bytes of UTF-8 that one token can stand for; only bytes are counted. 0 of every
 * text where there is no such number: tokenizers that leave parts of a text out, or that make one token of any unknown word.
 */
export function fewestTokensBy(files: TokenizerFiles): (text: string) => number {
  const most = mostBytes(files);
  if (most === null) return () => 0;
  const { perToken, isLacking } = most;
  return (text) => {
    const bytes = Buffer.byteLength(text);
    // Bytes that the vocabulary lacks, as that of SmolLM2 lacks 0x04, are left out.
    const kept = isLacking && Math.ceil(bytes / perToken) > 1 ? keptBytes(text, isLacking) : bytes;
    return Math.ceil(kept / perToken);
  };
}

function keptBytes(text: string, isLacking: Uint8Array): number {
  const bytes = Buffer.from(text);
  let kept = bytes.length;
  // By index: ten times as fast as the iterator, in a megabyte that is between two steps.
  for (let i = 0; i < bytes.length; i++) kept -= isLacking[bytes[i]!]!;
  return kept;
}

interface MostBytes {
  perToken: number;
  /** By byte; null: the vocabulary has all of UTF-8's. */
  isLacking: Uint8Array | null;
}

function mostBytes({ tokenizerJson, tokenizerConfig }: TokenizerFiles): MostBytes | null {
  const { model, normalizer, pre_tokenizer, added_tokens = [] } = tokenizerJson as TokenizerJson;
  if (tokenizerConfig?.remove_space || tokenizerConfig?.do_lowercase_and_remove_accent) return null;
  if (model?.type !== 'BPE' || !model.vocab) return null;
  if (model.continuing_subword_prefix || model.continuing_subword_suffix || model.end_of_word_suffix)
    return null;
  // They take any number of spaces.
  if (added_tokens.some(({ lstrip, rstrip }) => lstrip || rstrip)) return null;
  const splits = stepsOf(pre_tokenizer);
  const normalizers = stepsOf(normalizer);
  const keepsAll =
    normalizers.every(shrinksNothing) &&
    splits.every(({ type = '', behavior }) => keptWhole.has(type) && behavior?.toLowerCase() !== 'removed');
  if (!keepsAll) return null;
  const { vocab } = model;
  const isByteLevel = splits.at(-1)?.type === 'ByteLevel';
  const bytes = isByteLevel ? byteAlphabet() : byteTokens;
  const isLacking = Uint8Array.from(bytes, (token, byte) =>
    Number(inUtf8(byte) && !Object.hasOwn(vocab, token)),
  );
  const lacks = isLacking.includes(1);
  const shrinks = normalizers.some(({ type }) => type === 'NFC') ? nfcShrinks : 1;
  // Characters of unknown bytes become one unknown token; and what NFC makes of others may be left out.
  if (lacks && (!isByteLevel || model.unk_token || shrinks > 1)) return null;
  if (!isByteLevel && !model.byte_fallback) return null;
  // A byte-level token has a character for each byte; one of another kind its text, and a space's stand-in is longer than a space.
  const bytesOf = (token: string) => (isByteLevel ? token.length : Buffer.byteLength(token));
  const longest = Object.keys(vocab).reduce((most, token) => Math.max(most, bytesOf(token)), 1);
  const ofAdded = added_tokens.map(({ content }) => Buffer.byteLength(content));
  const perToken = ofAdded.reduce((most, length) => Math.max(most, length), longest) * shrinks;
  return { perToken, isLacking: lacks ? isLacking : null };
}

function shrinksNothing({ type, content = '', pattern }: Step): boolean {
  if (type !== 'Replace') return type === 'NFC' || type === 'Prepend';
  return pattern?.String !== undefined && Buffer.byteLength(content) >= Buffer.byteLength(pattern.String);
}

/** Whether UTF-8 has the byte. */
const inUtf8 = (byte: number): boolean => byte < 0xc0 || (byte > 0xc1 && byte < 0xf5);

/** Ways of splitting a text that leave nothing out. */
const keptWhole = new Set(['ByteLevel', 'Digits', 'Split', 'Punctuation', 'Metaspace']);

const byteTokens = Array.from(
  { length: 256 },
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
);

function stepsOf(step: Step | null | undefined): Step[] {
  if (!step) return [];
  if (step.type !== 'Sequence') return [step];
  return [...(step.normalizers ?? []), ...(step.pretokenizers ?? [])].flatMap(stepsOf);
}
