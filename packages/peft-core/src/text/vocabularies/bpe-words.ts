import type { EncodedText } from '../encoded-text.ts';
import { mergePairs, type PairRanks, pairRanks, partsOfMerge } from './merge-pairs.ts';
import { WordCache } from './word-cache.ts';
import type { ModelJson, WordModel } from './word-model.ts';

/** Above all code points. */
const CODE_POINTS = 0x11_0000;

interface BpeParts {
  ranks: PairRanks;
  /** Pairs of code points, `first * CODE_POINTS + second`, at which some merge joins two tokens. */
  joints: ReadonlySet<number>;
  vocabulary: ReadonlyMap<string, number>;
  /** Token of each byte, if the vocabulary has one; null if characters that the vocabulary lacks are not encoded as bytes. */
  byteIds: readonly (number | undefined)[] | null;
  unknown: number | null;
  fuses: boolean;
  ignoreMerges: boolean;
}

/**
 * BPE over characters, as in SentencePiece models, where often a whole text is one word. A word is cut where no merge joins two
 * characters: its parts have the same tokens separately, and repeat often. Pairs of a part are merged with a heap, so that a long part
 * takes n log n.
 */
export class BpeWords implements WordModel {
  readonly #parts: BpeParts;
  readonly #lengths: Map<number, number>;
  /** As in the Rust crate, characters without any token are removed first, so that the characters around them become neighbours. */
  readonly #dropsUnknown: boolean;
  readonly #merged = new WordCache((part) => this.#merge(part));

  private constructor(parts: BpeParts) {
    this.#parts = parts;
    this.#dropsUnknown = parts.unknown === null && parts.byteIds === null;
    this.#lengths = new Map();
    for (const [token, id] of parts.vocabulary) this.#lengths.set(id, token.length);
  }

  static of(this: void, model: ModelJson, special: ReadonlySet<number>): BpeWords | null {
    const { type, vocab, merges, unk_token = null, fuse_unk, byte_fallback, ignore_merges } = model;
    if (type !== 'BPE' || typeof vocab !== 'object' || vocab === null || !Array.isArray(merges)) return null;
    if (model.dropout || model.end_of_word_suffix) return null;
    if (model.continuing_subword_prefix || model.continuing_subword_suffix) return null;
    const vocabulary = new Map(Object.entries(vocab as Record<string, number>));
    const ranks = pairRanks(merges, vocabulary, special);
    if (!ranks) return null;
    const joints = new Set<number>();
    for (const merge of merges) {
      const [left = '', right = ''] = partsOfMerge(merge);
      joints.add(lastCodePoint(left) * CODE_POINTS + right.codePointAt(0)!);
    }
    const unknown = unk_token === null ? undefined : vocabulary.get(unk_token);
    const byteIds = Array.from({ length: 256 }, (_, byte) => vocabulary.get(byteToken(byte)));
    for (const [token, id] of vocabulary) if (special.has(id)) vocabulary.delete(token);
    return new BpeWords({
      ranks,
      joints,
      vocabulary,
      byteIds: byte_fallback ? byteIds : null,
      unknown: unknown ?? null,
      fuses: fuse_unk === true,
      ignoreMerges: ignore_merges === true,
    });
  }

  encode(word: string, out: EncodedText): void {
    const { ignoreMerges, vocabulary } = this.#parts;
    if (ignoreMerges) {
      const whole = vocabulary.get(word);
      if (whole !== undefined) {
        out.push(whole, word.length);
        return;
      }
    }
    if (this.#dropsUnknown) {
      const known = [...word].filter((character) => vocabulary.has(character)).join('');
      this.#known(known, out);
      out.extend(word.length - known.length);
    } else this.#known(word, out);
  }

  #known(word: string, out: EncodedText): void {
    const { joints } = this.#parts;
    let from = 0;
    let before = -1;
    for (let at = 0; at < word.length; ) {
      const codePoint = word.codePointAt(at)!;
      if (at > from && !joints.has(before * CODE_POINTS + codePoint)) {
        this.#part(word.slice(from, at), out);
        from = at;
      }
      before = codePoint;
      at += codePoint > 0xffff ? 2 : 1;
    }
    if (from < word.length) this.#part(from === 0 ? word : word.slice(from), out);
  }

  #part(part: string, out: EncodedText): void {
    out.tick();
    const ids = this.#merged.get(part);
    if (ids === null) {
      this.#unknown(part, out);
      return;
    }
    for (const id of ids) out.push(id, this.#lengths.get(id)!);
  }

  /** Null for a character that the vocabulary lacks: no merge joins it with anything. */
  #merge(part: string): readonly number[] | null {
    const ids: number[] = [];
    for (const character of part) {
      const id = this.#parts.vocabulary.get(character);
      if (id === undefined) return null;
      ids.push(id);
    }
    return mergePairs(Int32Array.from(ids), this.#parts.ranks);
  }

  #unknown(character: string, out: EncodedText): void {
    const { byteIds, unknown, fuses } = this.#parts;
    const bytes = byteIds ? Array.from(Buffer.from(character), (byte) => byteIds[byte]) : [];
    if (byteIds && !bytes.includes(undefined)) {
      // The first byte has the whole length, so that no byte belongs to a prefix that ends before the character.
      for (const [i, id] of bytes.entries()) out.push(id!, i === 0 ? character.length : 0);
    } else if (unknown === null) out.extend(character.length);
    else out.pushUnknown(unknown, character.length, fuses);
  }
}

function lastCodePoint(text: string): number {
  const last = text.codePointAt(text.length - 2);
  return last !== undefined && last > 0xffff ? last : text.charCodeAt(text.length - 1);
}

function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
}
