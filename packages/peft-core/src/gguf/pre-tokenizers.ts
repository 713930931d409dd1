import { GraftError } from '../errors.ts';

/** How text is cut before BPE, and what else `tokenizer.ggml.pre` implies, in tokenizer.json's terms. */
export interface PreTokenizer {
  preTokenizer: object;
  normalizer: object | null;
  /** A word that is a token as a whole is not built up by merges. */
  ignoreMerges: boolean;
  /** Whether a text begins with the bos token when the file does not say. */
  addBos: boolean;
}

/** ByteLevel with GPT-2's own pattern, or only the byte alphabet. */
const byteLevel = (useRegex: boolean) => ({
  type: 'ByteLevel',
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: useRegex,
});

const sequence = (...pretokenizers: object[]) => ({ type: 'Sequence', pretokenizers });

const split = (pattern: string) => ({
  type: 'Split',
  pattern: { Regex: pattern },
  behavior: 'Isolated',
  invert: false,
});

/** Llama 3's pattern; Qwen 2's differs only in taking digits one by one. */
const llama3Pattern = (digits: string) =>
  `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;

const gpt2: PreTokenizer = {
  preTokenizer: byteLevel(true),
  normalizer: null,
  ignoreMerges: false,
  addBos: false,
};

/** As in SmolLM2's tokenizer.json: every digit alone, then GPT-2's pattern. */
const digitsFirst: PreTokenizer = {
  ...gpt2,
  preTokenizer: sequence({ type: 'Digits', individual_digits: true }, byteLevel(true)),
};

/** As in Llama 3's tokenizer.json. */
const llama3: PreTokenizer = {
  preTokenizer: sequence(split(llama3Pattern('\\p{N}{1,3}')), byteLevel(false)),
  normalizer: null,
  ignoreMerges: true,
  addBos: true,
};

/** As in Qwen2's tokenizer.json. */
const qwen2: PreTokenizer = {
  preTokenizer: sequence(split(llama3Pattern('\\p{N}')), byteLevel(false)),
  normalizer: { type: 'NFC' },
  ignoreMerges: false,
  addBos: false,
};

/** By `tokenizer.ggml.pre`, the names that llama.cpp's converter writes. A file that names none has GPT-2's. */
const preTokenizers: Readonly<Record<string, PreTokenizer>> = {
  default: gpt2,
  'gpt-2': gpt2,
  smollm: digitsFirst,
  starcoder: digitsFirst,
  refact: digitsFirst,
  'llama-bpe': llama3,
  llama3,
  'llama-v3': llama3,
  qwen2,
};

/** Throws GraftError `unsupported_tokenizer` naming those that are supported. */
export function preTokenizerFor(path: string, pre: string): PreTokenizer {
  const found = Object.hasOwn(preTokenizers, pre) ? preTokenizers[pre] : undefined;
  if (found) return found;
  throw new GraftError(
    'unsupported_tokenizer',
    `${path}: pre-tokenizer "${pre}" is not supported; supported: ${Object.keys(preTokenizers).join(', ')}`,
    { param: 'model' },
  );
}
