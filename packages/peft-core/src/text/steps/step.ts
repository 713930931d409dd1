/** A step of a normalizer, pre-tokenizer or decoder of tokenizer.json, with the fields that some type of step has. */
export interface Step {
  type?: string;
  normalizers?: Step[];
  pretokenizers?: Step[];
  decoders?: Step[];
  /** Field of Replace and Split. */
  pattern?: Pattern;
  content?: string;
  prepend?: string;
  behavior?: string;
  invert?: boolean;
  /** Field of Metaspace. */
  replacement?: string;
  prepend_scheme?: string;
  split?: boolean;
  /** Field of ByteLevel; in files of early versions also of Metaspace. */
  add_prefix_space?: boolean;
  use_regex?: boolean;
  /** Field of Digits, FixedLength and CharDelimiterSplit. */
  individual_digits?: boolean;
  length?: number;
  delimiter?: string;
  /** Field of the normalizer Strip. */
  strip_left?: boolean;
  strip_right?: boolean;
  /** Field of the decoder Strip: the number of characters to remove at each end of a token. */
  start?: number;
  stop?: number;
  /** Field of BertNormalizer. */
  clean_text?: boolean;
  handle_chinese_chars?: boolean;
  strip_accents?: boolean | null;
  lowercase?: boolean;
}

export interface Pattern {
  Regex?: string;
  String?: string;
}

/** `prepend_scheme` of Metaspace: "always", "first" or "never". */
export function prependScheme({ prepend_scheme, add_prefix_space }: Step): string {
  return prepend_scheme ?? (add_prefix_space === false ? 'never' : 'always');
}
