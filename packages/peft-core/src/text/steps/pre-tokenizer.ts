import { byteAlphabet } from '../byte-alphabet.ts';
import { BYTE_LEVEL_PATTERN } from '../exact-splitting.ts';
import { libraryPreTokenizer, regexOf } from './library-steps.ts';
import { prependScheme, type Step } from './step.ts';
import { WHITE_SPACE } from './white-space.ts';

/** Splits a piece of text into words. `isStart`: whether the piece starts the text. */
export type PreTokenise = (piece: string, isStart: boolean) => string[];

/** The pre-tokenizer of a tokenizer.json. Its steps split as those of the Rust crate do. Throws for an unknown type. */
export function preTokenizerOf(step: Step): PreTokenise {
  const own = step.type === undefined ? undefined : PRE_TOKENIZERS[step.type];
  return own ? own(step) : libraryPreTokenizer(step);
}

const PRE_TOKENIZERS: Readonly<Record<string, (step: Step) => PreTokenise>> = {
  Sequence({ pretokenizers = [] }) {
    const steps = pretokenizers.map(preTokenizerOf);
    return (piece, isStart) =>
      steps.reduce((pieces, split) => pieces.flatMap((each, i) => split(each, isStart && i === 0)), [piece]);
  },
  Metaspace(step) {
    const { replacement = '▁', split = true } = step;
    const scheme = prependScheme(step);
    const mark = regexOf({ String: replacement });
    return (piece, isStart) => {
      const marked = piece.replaceAll(' ', () => replacement);
      const prepends = scheme === 'always' || (scheme === 'first' && isStart);
      const word = prepends && !marked.startsWith(replacement) ? replacement + marked : marked;
      return split ? divide(word, mark, { behaviour: 'mergedwithnext' }) : [word];
    };
  },
  Split({ pattern = {}, behavior = '', invert = false }) {
    const regex = regexOf(pattern);
    const behaviour = behavior.toLowerCase() as SplitBehaviour;
    return (piece) => divide(piece, regex, { behaviour, invert });
  },
  ByteLevel({ add_prefix_space = false, use_regex = true }) {
    const regex = regexOf({ Regex: BYTE_LEVEL_PATTERN });
    return (piece) => {
      const text = add_prefix_space && !piece.startsWith(' ') ? ` ${piece}` : piece;
      return (use_regex ? divide(text, regex, { behaviour: 'isolated' }) : [text]).map(spelledInBytes);
    };
  },
  Digits: ({ individual_digits }) => splitting(/\p{N}/gu, individual_digits ? 'isolated' : 'contiguous'),
  Punctuation: ({ behavior = 'isolated' }) =>
    splitting(PUNCTUATION, behavior.toLowerCase() as SplitBehaviour),
  Whitespace: () => (piece) => divide(piece, WORDS, { behaviour: 'removed', invert: true }),
  WhitespaceSplit: () => splitting(SPACE, 'removed'),
  BertPreTokenizer: () => (piece) =>
    divide(piece, SPACE, { behaviour: 'removed' }).flatMap((word) =>
      divide(word, PUNCTUATION, { behaviour: 'isolated' }),
    ),
  CharDelimiterSplit: ({ delimiter = ' ' }) => splitting(regexOf({ String: delimiter }), 'removed'),
  FixedLength({ length = 5 }) {
    return (piece) => {
      const characters = [...piece];
      return Array.from({ length: Math.ceil(characters.length / length) }, (_, i) =>
        characters.slice(i * length, (i + 1) * length).join(''),
      );
    };
  },
};

const SPACE = new RegExp(WHITE_SPACE, 'gu');
const PUNCTUATION = /[!-/:-@[-`{-~\p{P}]/gu;
/** `\w` of the Rust crate is Unicode's. */
const WORD = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}';
const WORDS = new RegExp(`[${WORD}]+|[^${WORD}${WHITE_SPACE}]+`, 'gu');
export const WORD_CHARACTER = new RegExp(`[${WORD}]`, 'u');

function splitting(regex: RegExp, behaviour: SplitBehaviour): PreTokenise {
  return (piece) => divide(piece, regex, { behaviour });
}

const ALPHABET = byteAlphabet();

function spelledInBytes(word: string): string {
  let spelled = '';
  for (const byte of Buffer.from(word)) spelled += ALPHABET[byte];
  return spelled;
}

/** A pre-tokenizer whose steps add no prefix; null if there is none. */
export function withoutPrefix(step: Step | null | undefined): Step | null {
  if (!step) return null;
  const { type, pretokenizers } = step;
  if (pretokenizers)
    return { type: type!, pretokenizers: pretokenizers.map(withoutPrefix).filter((each) => each !== null) };
  if (type === 'Metaspace') return { ...step, prepend_scheme: 'never' };
  return step.add_prefix_space ? { ...step, add_prefix_space: false } : step;
}

/** A part of a text; whether the pattern matches it. Matches may be empty. */
interface Part {
  from: number;
  to: number;
  isMatch: boolean;
}

/** How a Split divides a text at the matches of its pattern; names as in tokenizer.json, in lower case. */
type SplitBehaviour = 'isolated' | 'removed' | 'contiguous' | 'mergedwithprevious' | 'mergedwithnext';

/** Divides a text as `NormalizedString::split` of the Rust crate does. `regex`: global. */
function divide(
  text: string,
  regex: RegExp,
  { behaviour, invert = false }: { behaviour: SplitBehaviour; invert?: boolean },
): string[] {
  const parts = partsOf(text, regex);
  if (invert) for (const part of parts) part.isMatch = !part.isMatch;
  return join(parts, behaviour).flatMap(({ from, to }) => (from === to ? [] : [text.slice(from, to)]));
}

function partsOf(text: string, regex: RegExp): Part[] {
  const parts: Part[] = [];
  let from = 0;
  for (const { 0: found, index } of text.matchAll(regex)) {
    if (index > from) parts.push({ from, to: index, isMatch: false });
    from = index + found.length;
    parts.push({ from: index, to: from, isMatch: true });
  }
  if (from < text.length) parts.push({ from, to: text.length, isMatch: false });
  return parts;
}

function join(parts: readonly Part[], behaviour: SplitBehaviour): Part[] {
  switch (behaviour) {
    case 'isolated':
      return [...parts];
    case 'removed':
      return parts.filter(({ isMatch }) => !isMatch);
    case 'contiguous':
      return joined(parts, (part, before) => part.isMatch === (before?.isMatch ?? false));
    case 'mergedwithprevious':
      return joined(parts, ({ isMatch }, before) => isMatch && !(before?.isMatch ?? false));
    case 'mergedwithnext': {
      const mirrored = (each: Part): Part => ({ from: -each.to, to: -each.from, isMatch: each.isMatch });
      const backwards = parts.map(mirrored).reverse();
      return joined(backwards, ({ isMatch }, before) => isMatch && !(before?.isMatch ?? false))
        .map(mirrored)
        .reverse();
    }
  }
}

/** Joins each part with those before it, where `joins` is true for the part and the one before it. */
function joined(parts: readonly Part[], joins: (part: Part, before: Part | undefined) => boolean): Part[] {
  const all: Part[] = [];
  for (const [i, part] of parts.entries()) {
    const last = all.at(-1);
    if (last && joins(part, parts[i - 1])) last.to = part.to;
    else all.push({ from: part.from, to: part.to, isMatch: part.isMatch });
  }
  return all;
}
