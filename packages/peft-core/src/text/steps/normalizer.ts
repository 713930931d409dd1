import { libraryNormalizer, regexOf } from './library-steps.ts';
import type { Step } from './step.ts';
import { trimEnd, trimStart, WHITE_SPACE } from './white-space.ts';

export type Normalise = (text: string) => string;

/** The normalizer of a tokenizer.json. Its steps change texts as those of the Rust crate do. Throws for an unknown type. */
export function normalizerOf(step: Step): Normalise {
  const own = step.type === undefined ? undefined : NORMALIZERS[step.type];
  return own ? own(step) : libraryNormalizer(step);
}

const NORMALIZERS: Readonly<Record<string, (step: Step) => Normalise>> = {
  Sequence({ normalizers = [] }) {
    const steps = normalizers.map(normalizerOf);
    return (text) => steps.reduce((changed, normalise) => normalise(changed), text);
  },
  Replace({ pattern = {}, content = '' }) {
    const { String: literal } = pattern;
    if (literal !== undefined) return (text) => text.replaceAll(literal, () => content);
    const regex = regexOf(pattern);
    return (text) => text.replace(regex, () => content);
  },
  Prepend:
    ({ prepend = '' }) =>
    (text) =>
      text === '' ? text : prepend + text,
  NFC: () => (text) => text.normalize('NFC'),
  NFD: () => (text) => text.normalize('NFD'),
  NFKC: () => (text) => text.normalize('NFKC'),
  NFKD: () => (text) => text.normalize('NFKD'),
  Lowercase: () => lowercase,
  StripAccents: () => (text) => text.replace(/\p{M}/gu, ''),
  Strip({ strip_left, strip_right }) {
    return (text) => {
      const rest = strip_left ? trimStart(text) : text;
      return strip_right ? trimEnd(rest) : rest;
    };
  },
  BertNormalizer({ clean_text, handle_chinese_chars, strip_accents, lowercase: lowers }) {
    const steps: Normalise[] = [];
    if (clean_text) steps.push((text) => text.replace(UNPRINTED, '').replace(SPACES, ' '));
    if (handle_chinese_chars) steps.push((text) => text.replace(IDEOGRAPHS, ' $& '));
    if (strip_accents ?? lowers) steps.push((text) => text.normalize('NFD').replace(/\p{Mn}/gu, ''));
    if (lowers) steps.push(lowercase);
    return (text) => steps.reduce((changed, normalise) => normalise(changed), text);
  },
};

/** Converts each character separately, as the Rust crate does: `toLowerCase` has a special rule for a sigma that ends a word. */
function lowercase(text: string): string {
  return text.includes('Σ') ? text.replaceAll('Σ', 'σ').toLowerCase() : text.toLowerCase();
}

const UNPRINTED = /(?![\t\n\r])[\p{Cc}\p{Cf}\p{Co}\p{Cs}\uFFFD]/gu;
const SPACES = new RegExp(WHITE_SPACE, 'gu');
/** Ranges of ideographs, each of which is a word. */
const IDEOGRAPHS =
  /[\u{3400}-\u{4DBF}\u{4E00}-\u{9FFF}\u{F900}-\u{FAFF}\u{20000}-\u{2A6DF}\u{2A700}-\u{2B81F}\u{2B920}-\u{2CEAF}\u{2F800}-\u{2FA1F}]/gu;

/** A normalizer without the steps that add a prefix; null if nothing else is left. */
export function withoutPrepend(step: Step | null | undefined): Step | null {
  if (!step || step.type === 'Prepend') return null;
  const { normalizers } = step;
  if (!normalizers) return step;
  return { type: step.type!, normalizers: normalizers.map(withoutPrepend).filter((each) => each !== null) };
}
