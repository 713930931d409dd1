import { mergePairs, PAIR_BASE, type PairRanks } from './merge-pairs.ts';

/** Words longer than this are not kept: they seldom come again. UTF-16 units. */
const LONGEST_KEPT = 64;
/** Words of one generation of the cache, which holds two: some 10 MB. */
const KEPT_WORDS = 1 << 15;

interface AddedToken {
  id: number;
  content: string;
  lstrip?: boolean;
  rstrip?: boolean;
  single_word?: boolean;
}

interface SplitStep {
  type?: string;
  pattern?: { Regex?: string; String?: string };
  behavior?: string;
  invert?: boolean;
  use_regex?: boolean;
  add_prefix_space?: boolean;
  pretokenizers?: SplitStep[];
}

const CUT_EVERY = 256;

/** Token ids of a text, and places where it may be cut without changing the tokens of either part. */
export class EncodedText {
  readonly ids: number[] = [];
  /** Ends of added tokens and, every CUT_EVERY or so, of words. In UTF-16 units, ascending. */
  readonly cuts: number[] = [];
  /** How many of `ids` lie before each cut. */
  readonly counts: number[] = [];
  /** A beginning of the text has the same tokens before the cut when it ends after this. */
  readonly safeAfter: number[] = [];
  #word: { end: number; count: number } | null = null;

  addedTokenEnds(end: number): void {
    this.#word = null;
    this.#cut(end, this.ids.length, end);
  }

  /** Where a word ends may depend on the word after it: of several spaces, the last belongs to a letter that follows. */
  wordEnds(end: number): void {
    if (this.#word) {
      this.#cut(this.#word.end, this.#word.count, end);
      this.#word = null;
    } else if (end - (this.cuts.at(-1) ?? 0) >= CUT_EVERY) {
      this.#word = { end, count: this.ids.length };
    }
  }

  #cut(end: number, count: number, safeAfter: number): void {
    this.cuts.push(end);
    this.counts.push(count);
    this.safeAfter.push(safeAfter);
  }
}

/** Whether no word depends on more than the word after it and a character. */
function looksNoFurther({ source }: RegExp): boolean {
  const plain = source.replaceAll('(?!\\P{White_Space})', '');
  return !/\(\?(?:[=!]|<[=!])|\$|\\[bBAzZG]|(?:^|[|(])\^/.test(plain);
}

/**
 * Byte-level BPE, which most decoders use: some 30 times as fast as the general way of @huggingface/tokenizers, with the same
 * tokens. Words come again and again, so most are looked up; pairs of a new one merge by a heap, so that a long word costs
 * n log n.
 */
export class ByteLevelBpe {
  readonly #ranks: PairRanks;
  readonly #byteIds: Int32Array;
  readonly #words: ReadonlyMap<string, number>;
  readonly #ignoreMerges: boolean;
  readonly #splits: readonly SplitPattern[];
  readonly #added: ReadonlyMap<string, number>;
  readonly #addedText: RegExp | null;
  readonly #normalize: boolean;
  readonly #cutsAtWords: boolean;
  #recent = new Map<string, readonly number[]>();
  #older = new Map<string, readonly number[]>();

  private constructor(parts: {
    ranks: PairRanks;
    byteIds: Int32Array;
    words: ReadonlyMap<string, number>;
    ignoreMerges: boolean;
    splits: readonly RegExp[];
    added: readonly AddedToken[];
    normalize: boolean;
  }) {
    this.#ranks = parts.ranks;
    this.#byteIds = parts.byteIds;
    this.#words = parts.words;
    this.#ignoreMerges = parts.ignoreMerges;
    this.#splits = parts.splits.map((next) => ({ next, here: new RegExp(next.source, `${next.flags}y`) }));
    this.#added = new Map(parts.added.map(({ content, id }) => [content, id]));
    this.#normalize = parts.normalize;
    this.#cutsAtWords = !parts.normalize && parts.splits.every(looksNoFurther);
    const texts = [...this.#added.keys()].filter(Boolean).sort((a, b) => b.length - a.length);
    const escaped = texts.map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    this.#addedText = escaped.length === 0 ? null : new RegExp(escaped.join('|'), 'g');
  }

  /**
   * Of a tokenizer.json whose splitting is exact (`withExactSplitting`). `splitsOf`: the patterns of its Splits as global regular
   * expressions. Null for one of another kind, or with anything that this does not know.
   */
  static of(tokenizerJson: object, splitsOf: () => readonly RegExp[]): ByteLevelBpe | null {
    const { model, normalizer, pre_tokenizer, added_tokens } = tokenizerJson as TokenizerJson;
    if (model?.type !== 'BPE' || !model.vocab || !Array.isArray(model.merges)) return null;
    const { unk_token, byte_fallback, continuing_subword_prefix, end_of_word_suffix, dropout } = model;
    if (unk_token || byte_fallback || continuing_subword_prefix || end_of_word_suffix || dropout) return null;
    if (model.continuing_subword_suffix) return null;
    const normalize = normalizer?.type === 'NFC';
    if (normalizer && !normalize) return null;
    const added = added_tokens ?? [];
    if (added.some(({ lstrip, rstrip }) => lstrip || rstrip)) return null;
    // Such tokens are looked for in the normalised text.
    if (normalize && added.some(({ normalized, special }) => normalized ?? !special)) return null;
    const splits = splitsOf();
    if (countSplits(pre_tokenizer) !== splits.length) return null;
    const vocabulary = new Map<string, number>();
    for (const token of Object.keys(model.vocab)) vocabulary.set(token, model.vocab[token]!);
    const byteIds = Int32Array.from(byteAlphabet(), (character) => vocabulary.get(character) ?? -1);
    const ranks = pairRanks(model.merges, vocabulary);
    if (!ranks) return null;
    const ignoreMerges = model.ignore_merges === true;
    return new ByteLevelBpe({
      ranks,
      byteIds,
      words: ignoreMerges ? vocabulary : new Map(),
      ignoreMerges,
      splits,
      added,
      normalize,
    });
  }

  encode(text: string): EncodedText {
    const encoded = new EncodedText();
    const { ids } = encoded;
    let from = 0;
    if (this.#addedText) {
      for (const { 0: token, index } of text.matchAll(this.#addedText)) {
        if (index > from) this.#section(text.slice(from, index), from, encoded);
        ids.push(this.#added.get(token)!);
        from = index + token.length;
        encoded.addedTokenEnds(from);
      }
    }
    if (from < text.length) this.#section(from === 0 ? text : text.slice(from), from, encoded);
    return encoded;
  }

  #section(text: string, at: number, encoded: EncodedText): void {
    this.#split(this.#normalize ? text.normalize('NFC') : text, at, 0, encoded);
  }

  /** Matches of each pattern, and what lies between them, are split by the next one; what is left is a word. `at`: of `text`. */
  #split(text: string, at: number, step: number, encoded: EncodedText): void {
    const pattern = this.#splits[step];
    if (!pattern) {
      this.#word(text, encoded.ids);
      if (this.#cutsAtWords) encoded.wordEnds(at + text.length);
      return;
    }
    for (let from = 0; from < text.length; ) {
      const end = endOfPart(text, from, pattern);
      this.#split(end - from === text.length ? text : text.slice(from, end), at + from, step + 1, encoded);
      from = end;
    }
  }

  #word(word: string, ids: number[]): void {
    const found = this.#recent.get(word) ?? this.#remember(word);
    for (let i = 0; i < found.length; i++) ids.push(found[i]!);
  }

  #remember(word: string): readonly number[] {
    const known = this.#older.get(word) ?? this.#merge(word);
    if (word.length > LONGEST_KEPT) return known;
    if (this.#recent.size >= KEPT_WORDS) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    // A piece of a longer text would keep all of that in memory.
    this.#recent.set(Buffer.from(word, 'utf16le').toString('utf16le'), known);
    return known;
  }

  #merge(word: string): readonly number[] {
    const bytes = Buffer.from(word, 'utf8');
    if (this.#ignoreMerges) {
      const whole = this.#words.get(spelled(bytes));
      if (whole !== undefined) return [whole];
    }
    const ids = Int32Array.from(bytes, (byte) => this.#byteIds[byte]!);
    // As the Rust crate does, bytes that the vocabulary lacks are left out first: those around them are neighbours.
    return mergePairs(ids.includes(-1) ? ids.filter((id) => id !== -1) : ids, this.#ranks);
  }
}

interface SplitPattern {
  /** Finds the next match. */
  next: RegExp;
  /** Matches where it looks, or not at all: without the array that a search makes for each word. */
  here: RegExp;
}

/** The end of the match at `from`, or of what lies before the next match. */
function endOfPart(text: string, from: number, { next, here }: SplitPattern): number {
  here.lastIndex = from;
  if (here.test(text) && here.lastIndex > from) return here.lastIndex;
  next.lastIndex = from;
  for (let match = next.exec(text); match !== null; match = next.exec(text)) {
    if (match[0] !== '') return match.index > from ? match.index : match.index + match[0].length;
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
  added_tokens?: (AddedToken & { normalized?: boolean; special?: boolean })[];
}

/** How many patterns a text is split by, one after the other, before it becomes bytes; −1 for any other way. */
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

/** Null: a merge names a token that the vocabulary lacks. */
function pairRanks(merges: unknown[], vocabulary: ReadonlyMap<string, number>): PairRanks | null {
  const ranks: PairRanks = { byPair: new Map(), merged: new Int32Array(merges.length) };
  for (const [rank, merge] of merges.entries()) {
    const [left, right] = Array.isArray(merge) ? (merge as string[]) : String(merge).split(' ', 2);
    const a = vocabulary.get(left ?? '');
    const b = vocabulary.get(right ?? '');
    const both = vocabulary.get(`${left}${right}`);
    if (a === undefined || b === undefined || both === undefined) return null;
    ranks.byPair.set(a * PAIR_BASE + b, rank);
    ranks.merged[rank] = both;
  }
  return ranks;
}

/** The byte-level alphabet, a character for each of the 256 bytes: printable ones stand for themselves, the others for those from U+0100 on. */
export function byteAlphabet(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
    return String.fromCharCode(printable ? byte : next++);
  });
}

const ALPHABET = byteAlphabet();

function spelled(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += ALPHABET[byte];
  return text;
}
