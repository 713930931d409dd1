/** The pattern of ByteLevel in the Rust tokenizers crate. */
export const BYTE_LEVEL_PATTERN =
  "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** DeepSeek's pattern for trailing spaces: it tries every position in a run of spaces in vain, which takes quadratic time. */
const LAST_SPACES = '\\s+$';
/** A pattern with the same matches that only tries the start of each run. */
const LINEAR_LAST_SPACES = `(?<!\\s)${LAST_SPACES}`;

interface PreTokenizer {
  type?: string;
  pattern?: { Regex?: string };
  pretokenizers?: PreTokenizer[];
  individual_digits?: boolean;
  use_regex?: boolean;
  add_prefix_space?: boolean;
}

/**
 * Returns a tokenizer.json whose pre-tokenizers split as in the Rust crate. In @huggingface/tokenizers, `Digits` means ASCII digits, and
 * `\s` of ByteLevel is JavaScript's. Its `Split` translates patterns exactly, so both are replaced by Splits: every \p{N} is a
 * digit, U+0085 is a space, and U+FEFF is not.
 */
export function withExactSplitting(tokenizerJson: object): object {
  const { pre_tokenizer } = tokenizerJson as { pre_tokenizer?: PreTokenizer | null };
  return pre_tokenizer ? { ...tokenizerJson, pre_tokenizer: exact(pre_tokenizer) } : tokenizerJson;
}

function exact(preTokenizer: PreTokenizer): object {
  switch (preTokenizer.type) {
    case 'Sequence':
      return { ...preTokenizer, pretokenizers: (preTokenizer.pretokenizers ?? []).map(exact) };
    case 'Digits':
      return split(preTokenizer.individual_digits ? '\\p{N}' : '\\p{N}+');
    case 'ByteLevel': {
      // A prefix space belongs before the whole text, not before each of its parts.
      if (preTokenizer.use_regex === false || preTokenizer.add_prefix_space) return preTokenizer;
      return {
        type: 'Sequence',
        pretokenizers: [split(BYTE_LEVEL_PATTERN), { ...preTokenizer, use_regex: false }],
      };
    }
    case 'Split':
      if (preTokenizer.pattern?.Regex !== LAST_SPACES) return preTokenizer;
      return { ...preTokenizer, pattern: { Regex: LINEAR_LAST_SPACES } };
    default:
      return preTokenizer;
  }
}

function split(pattern: string): object {
  return { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false };
}
