import { GraftError } from '../errors.ts';
import { families } from '../outlines/families.ts';
import type { PreTokenizer } from '../outlines/gguf/gguf-family.ts';

/** By `tokenizer.ggml.pre`. `default` is for files that name none; the next two are of families that Graft does not support. */
export const preTokenizers: Readonly<Record<string, PreTokenizer>> = {
  default: {},
  refact: { digitsApart: true },
  starcoder: { digitsApart: true },
  ...Object.fromEntries(families.flatMap(({ gguf }) => Object.entries(gguf?.preTokenizers ?? {}))),
};

/** Throws GraftError `unsupported_tokenizer`, which lists the supported ones. */
export function preTokenizerFor(path: string, pre: string): PreTokenizer {
  const found = Object.hasOwn(preTokenizers, pre) ? preTokenizers[pre] : undefined;
  if (found) return found;
  throw new GraftError(
    'unsupported_tokenizer',
    `${path}: pre-tokenizer "${pre}" is not supported; supported: ${Object.keys(preTokenizers).sort().join(', ')}`,
    { param: 'model' },
  );
}

/** A pre-tokenizer in the format of tokenizer.json. */
export function preTokenizerJson({ pattern, digitsApart }: PreTokenizer): object {
  const byteLevel = {
    type: 'ByteLevel',
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: pattern === undefined,
  };
  const before = [
    ...(digitsApart ? [{ type: 'Digits', individual_digits: true }] : []),
    ...(pattern === undefined
      ? []
      : [{ type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false }]),
  ];
  return before.length === 0 ? byteLevel : { type: 'Sequence', pretokenizers: [...before, byteLevel] };
}
