import { byteAlphabet } from '../../text/byte-alphabet.ts';
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

/** NFC shortens a text at most by this factor: U+1FEF, of 3 bytes, becomes a grave accent, of one. */
const nfcShrinks = 3;

/**
 * Computes a lower bound of a text's number of tokens from the maximum number of UTF-8 bytes per token; it only counts bytes. The bound
 * is 0 if there is no such maximum: for tokenizers that drop parts of a text, or that encode any unknown word as one token.
 */
export function fewestTokensBy(files: TokenizerFiles): (text: string) => number {
  const most = maxTokenBytes(files);
  if (most === null) return () => 0;
  const { perToken, isLacking } = most;
  return (text) => {
    const bytes = Buffer.byteLength(text);
    // Bytes that the vocabulary lacks are dropped; SmolLM2, for example, lacks 0x04.
    const kept = isLacking && Math.ceil(bytes / perToken) > 1 ? keptBytes(text, isLacking) : bytes;
    return Math.ceil(kept / perToken);
  };
}

function keptBytes(text: string, isLacking: Uint8Array): number {
  const bytes = Buffer.from(text);
  let kept = bytes.length;
  // An index loop is ten times as fast as the iterator, which matters for a megabyte between two steps.
  for (let i = 0; i < bytes.length; i++) kept -= isLacking[bytes[i]!]!;
  return kept;
}

interface TokenBytes {
  perToken: number;
  /** By byte; null if the vocabulary has all bytes of UTF-8. */
  isLacking: Uint8Array | null;
}

function maxTokenBytes({ tokenizerJson, tokenizerConfig }: TokenizerFiles): TokenBytes | null {
  const { model, normalizer, pre_tokenizer, added_tokens = [] } = tokenizerJson as TokenizerJson;
  if (tokenizerConfig?.remove_space || tokenizerConfig?.do_lowercase_and_remove_accent) return null;
  if (model?.type !== 'BPE' || !model.vocab) return null;
  if (model.continuing_subword_prefix || model.continuing_subword_suffix || model.end_of_word_suffix)
    return null;
  // Such tokens absorb any number of spaces.
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
  // Consecutive unknown characters become one token; and the results of NFC may be dropped.
  if (lacks && (!isByteLevel || model.unk_token || shrinks > 1)) return null;
  if (!isByteLevel && !model.byte_fallback) return null;
  // A byte-level token has a character for each byte; others have their text, in which the substitute for a space is longer than a space.
  const bytesOf = (token: string) => (isByteLevel ? token.length : Buffer.byteLength(token));
  const longest = Object.keys(vocab).reduce((most, token) => Math.max(most, bytesOf(token)), 1);
  const addedBytes = added_tokens.map(({ content }) => Buffer.byteLength(content));
  const perToken = addedBytes.reduce((most, length) => Math.max(most, length), longest) * shrinks;
  return { perToken, isLacking: lacks ? isLacking : null };
}

function shrinksNothing({ type, content = '', pattern }: Step): boolean {
  if (type !== 'Replace') return type === 'NFC' || type === 'Prepend';
  return pattern?.String !== undefined && Buffer.byteLength(content) >= Buffer.byteLength(pattern.String);
}

/** Checks whether the byte occurs in UTF-8. */
const inUtf8 = (byte: number): boolean => byte < 0xc0 || (byte > 0xc1 && byte < 0xf5);

/** Pre-tokenizers that drop nothing. */
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
