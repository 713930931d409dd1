import { byteAlphabet } from './byte-alphabet.ts';
import type { EncodedText } from './encoded-text.ts';
import type { AddedToken } from './sections/added-tokens.ts';
import type { Section, Sections } from './sections/sections.ts';
import { mergePairs, type PairRanks, pairRanks } from './vocabularies/merge-pairs.ts';
import { WordCache } from './vocabularies/word-cache.ts';

interface SplitStep {
  type?: string;
  pattern?: { Regex?: string; String?: string };
  behavior?: string;
  invert?: boolean;
  use_regex?: boolean;
  add_prefix_space?: boolean;
  pretokenizers?: SplitStep[];
}

/**
 * Byte-level BPE, which most decoders use: about 30 times as fast as the general implementation of @huggingface/tokenizers, with the
 * same tokens. Most words repeat, so they are cached; a new word's pairs are merged with a heap, so that a long word takes
 * n log n.
 */
export class ByteLevelBpe implements Sections {
  readonly #ranks: PairRanks;
  readonly #byteIds: Int32Array;
  readonly #words: ReadonlyMap<string, number>;
  readonly #ignoreMerges: boolean;
  readonly #splits: readonly SplitPattern[];
  readonly #normalize: boolean;
  /** Number of bytes that a token represents. */
  readonly #lengthOf: (id: number) => number;
  readonly #merged = new WordCache((word) => this.#merge(word));

  private constructor(parts: {
    ranks: PairRanks;
    byteIds: Int32Array;
    words: ReadonlyMap<string, number>;
    ignoreMerges: boolean;
    splits: readonly RegExp[];
    normalize: boolean;
    lengthOf(id: number): number;
  }) {
    this.#ranks = parts.ranks;
    this.#byteIds = parts.byteIds;
    this.#words = parts.words;
    this.#ignoreMerges = parts.ignoreMerges;
    this.#splits = parts.splits.map((next) => ({ next, here: new RegExp(next.source, `${next.flags}y`) }));
    this.#normalize = parts.normalize;
    this.#lengthOf = parts.lengthOf;
  }

  /**
   * Creates the encoder for a tokenizer.json with exact splitting (`withExactSplitting`). `splitsOf`: the patterns of its Splits as
   * global regular expressions. `special`: tokens that plain text is never encoded as. Null for a tokenizer of another kind, or one
   * with an unsupported feature.
   */
  static of(
    tokenizerJson: object,
    splitsOf: () => readonly RegExp[],
    special: ReadonlySet<number>,
    lengthOf: (id: number) => number,
  ): ByteLevelBpe | null {
    const { model, normalizer, pre_tokenizer, added_tokens } = tokenizerJson as TokenizerJson;
    if (model?.type !== 'BPE' || !model.vocab || !Array.isArray(model.merges)) return null;
    const { unk_token, byte_fallback, continuing_subword_prefix, end_of_word_suffix, dropout } = model;
    if (unk_token || byte_fallback || continuing_subword_prefix || end_of_word_suffix || dropout) return null;
    if (model.continuing_subword_suffix) return null;
    const normalize = normalizer?.type === 'NFC';
    if (normalizer && !normalize) return null;
    const added = added_tokens ?? [];
    if (added.some(({ lstrip, rstrip }) => lstrip || rstrip)) return null;
    // Such tokens would have to be found in the normalised text.
    if (normalize && added.some(({ normalized, special }) => normalized ?? !special)) return null;
    const splits = splitsOf();
    if (countSplits(pre_tokenizer) !== splits.length) return null;
    const vocabulary = new Map<string, number>();
    for (const token of Object.keys(model.vocab)) vocabulary.set(token, model.vocab[token]!);
    const byteIds = Int32Array.from(byteAlphabet(), (character) => vocabulary.get(character) ?? -1);
    const ranks = pairRanks(model.merges, vocabulary, special);
    if (!ranks) return null;
    const ignoreMerges = model.ignore_merges === true;
    if (ignoreMerges) for (const [token, id] of vocabulary) if (special.has(id)) vocabulary.delete(token);
    return new ByteLevelBpe({
      ranks,
      byteIds,
      words: ignoreMerges ? vocabulary : new Map(),
      ignoreMerges,
      splits,
      normalize,
      lengthOf,
    });
  }

  encode(text: string, { from }: Section, out: EncodedText): void {
    const normal = this.#normalize ? text.normalize('NFC') : text;
    out.part(from, from + text.length, () => normal);
    this.#split(normal, 0, out);
  }

  surface(text: string): string {
    return this.#normalize ? text.normalize('NFC') : text;
  }

  units(surface: string): number {
    return Buffer.byteLength(surface);
  }

  /** Splits the matches of each pattern, and the text between them, by the next pattern; the final parts are words. */
  #split(text: string, step: number, out: EncodedText): void {
    const pattern = this.#splits[step];
    if (!pattern) {
      this.#word(text, out);
      return;
    }
    for (let from = 0; from < text.length; ) {
      const end = endOfPart(text, from, pattern, out);
      this.#split(end - from === text.length ? text : text.slice(from, end), step + 1, out);
      from = end;
    }
  }

  #word(word: string, out: EncodedText): void {
    const found = this.#merged.get(word);
    out.tick();
    for (let i = 0; i < found.length; i++) out.ids.push(found[i]!);
    if (out.lengths) this.#measure(word, found, out);
  }

  #measure(word: string, found: readonly number[], out: EncodedText): void {
    let left = this.units(word);
    for (const id of found) {
      const length = this.#lengthOf(id);
      out.lengths!.push(length);
      left -= length;
    }
    // Bytes that the vocabulary lacks have no token.
    out.extend(left);
  }

  #merge(word: string): readonly number[] {
    const bytes = Buffer.from(word, 'utf8');
    if (this.#ignoreMerges) {
      const whole = this.#words.get(spelled(bytes));
      if (whole !== undefined) return [whole];
    }
    const ids = Int32Array.from(bytes, (byte) => this.#byteIds[byte]!);
    // As in the Rust crate, bytes that the vocabulary lacks are removed first, so that the bytes around them become neighbours.
    return mergePairs(ids.includes(-1) ? ids.filter((id) => id !== -1) : ids, this.#ranks);
  }
}

interface SplitPattern {
  next: RegExp;
  /** Matches only at `lastIndex`, without the result array that a search allocates for each word. */
  here: RegExp;
}

/** The end of the match at `from`, or of the text before the next match. */
function endOfPart(text: string, from: number, { next, here }: SplitPattern, out: EncodedText): number {
  here.lastIndex = from;
  if (here.test(text) && here.lastIndex > from) return here.lastIndex;
  next.lastIndex = from;
  for (let match = next.exec(text); match !== null; match = next.exec(text)) {
    if (match[0] !== '') return match.index > from ? match.index : match.index + match[0].length;
    // A zero-width match, which may occur at every position.
    out.tick();
    next.lastIndex++;
  }
  return text.length;
}

interface TokenizerJson {
  model?: {
    type?: string;
    vocab?: Record<string, number>;
    merges?: unknown;
    unk_token?: string | null;
    byte_fallback?: boolean;
    continuing_subword_prefix?: string | null;
    continuing_subword_suffix?: string | null;
    end_of_word_suffix?: string | null;
    dropout?: number | null;
    ignore_merges?: boolean;
  };
  normalizer?: { type?: string } | null;
  pre_tokenizer?: SplitStep | null;
  added_tokens?: AddedToken[];
}

/** Number of patterns that split a text, one after the other, before it is converted to bytes; −1 if it is split in any other way. */
function countSplits(preTokenizer: SplitStep | null | undefined): number {
  const steps = flatSteps(preTokenizer);
  const last = steps.pop();
  if (last?.type !== 'ByteLevel' || last.use_regex !== false || last.add_prefix_space) return -1;
  const isolates = ({ type, pattern, behavior, invert }: SplitStep) =>
    type === 'Split' && pattern?.Regex && !invert && behavior?.toLowerCase() === 'isolated';
  return steps.every(isolates) ? steps.length : -1;
}

function flatSteps(step: SplitStep | null | undefined): SplitStep[] {
  if (!step) return [];
  return step.type === 'Sequence' ? (step.pretokenizers ?? []).flatMap(flatSteps) : [step];
}

const ALPHABET = byteAlphabet();

function spelled(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += ALPHABET[byte];
  return text;
}
