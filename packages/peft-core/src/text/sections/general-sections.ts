import type { EncodedText } from '../encoded-text.ts';
import { type Normalise, normalizerOf, withoutPrepend } from '../steps/normalizer.ts';
import { type PreTokenise, preTokenizerOf, withoutPrefix } from '../steps/pre-tokenizer.ts';
import type { Step } from '../steps/step.ts';
import type { WordModel } from '../vocabularies/word-model.ts';
import { type AddedToken, AddedTokens, type FoundToken, type SpecialTokens } from './added-tokens.ts';
import { endOfPiece } from './end-of-piece.ts';
import type { Section, Sections } from './sections.ts';

interface TokenizerJson {
  normalizer?: Step | null;
  pre_tokenizer?: Step | null;
}

interface GeneralParts {
  tokenizerJson: TokenizerJson;
  /** tokenizer_config.json. */
  config: Record<string, unknown>;
  words: WordModel;
  /** Tokens to find in the normalised text. */
  added: readonly AddedToken[];
  /** Ids of the tokens that are plain text where special tokens are not encoded. */
  special(): ReadonlySet<number>;
}

interface Steps {
  normalise: Normalise;
  split: PreTokenise;
}

/** Encodes with any tokenizer.json, in the order of the Rust crate's steps. */
export class GeneralSections implements Sections {
  readonly #steps: Steps;
  /** For text that does not start a section: these add no prefix. */
  readonly #inner: Steps;
  readonly #words: WordModel;
  /** Tokens to find in the normalised text. */
  readonly #added: AddedTokens;
  readonly #special: () => ReadonlySet<number>;
  /** Normalised texts of the added tokens to find in the normalised text, by id. */
  readonly addedTexts: ReadonlyMap<number, string>;

  constructor({ tokenizerJson, config, words, added, special }: GeneralParts) {
    const { normalizer, pre_tokenizer } = tokenizerJson;
    const clean = cleaning(config);
    this.#steps = stepsOf(normalizer, pre_tokenizer, clean);
    this.#inner = stepsOf(withoutPrepend(normalizer), withoutPrefix(pre_tokenizer), clean);
    this.#words = words;
    this.#special = special;
    const normalise = normalizer ? normalizerOf(normalizer) : (content: string) => content;
    const byText = new Map(added.map((token) => [normalise(token.content), token]));
    this.#added = new AddedTokens(byText);
    this.addedTexts = new Map([...byText].map(([text, { id }]) => [id, text]));
  }

  encode(text: string, { from, isFirst, specialTokens }: Section, out: EncodedText): void {
    const normal = this.#steps.normalise(text);
    out.part(from, from + text.length, () => this.surface(text, { isFirst }));
    const found: FoundToken[] = [];
    const tokens = this.#placesIn(normal, text, specialTokens);
    const options = { tokens, special: this.#special(), tick: () => out.tick() };
    this.#added.find(normal, options, (each) => found.push(each));
    let start = 0;
    for (const { token, from: end, to } of found) {
      this.#plain(normal, { start, end }, isFirst, out);
      out.push(token.id, to - Math.min(end, to));
      start = to;
    }
    this.#plain(normal, { start, end: normal.length }, isFirst, out);
  }

  surface(piece: string, start: Pick<Section, 'isFirst'> | null): string {
    const { normalise, split } = start ? this.#steps : this.#inner;
    const normal = normalise(piece);
    return normal === '' ? '' : split(normal, start?.isFirst ?? false).join('');
  }

  units(surface: string): number {
    return surface.length;
  }

  #plain(normal: string, { start, end }: { start: number; end: number }, isFirst: boolean, out: EncodedText) {
    if (start >= end) return;
    for (const word of this.#steps.split(normal.slice(start, end), isFirst && start === 0)) {
      out.separate();
      this.#words.encode(word, out);
    }
  }

  /** Converts places in `text` to places in the normalised text. */
  #placesIn(normal: string, text: string, places: SpecialTokens): SpecialTokens {
    if (typeof places === 'string' || this.#added.isEmpty) return places;
    let from = 0;
    let at = 0;
    return places.map((place) => {
      const { normalise } = from === 0 ? this.#steps : this.#inner;
      at = endOfPiece(normal, normalise(text.slice(from, place)), at);
      from = place;
      return at;
    });
  }
}

function stepsOf(
  normalizer: Step | null | undefined,
  preTokenizer: Step | null | undefined,
  clean: Normalise,
): Steps {
  const change = normalizer ? normalizerOf(normalizer) : null;
  return {
    normalise: change ? (text) => change(clean(text)) : clean,
    split: preTokenizer ? preTokenizerOf(preTokenizer) : (text) => [text],
  };
}

/** Cleaning with which some old tokenizers change the text before all other steps. */
function cleaning({ remove_space, do_lowercase_and_remove_accent }: Record<string, unknown>): Normalise {
  return (text) => {
    const spaced = remove_space === true ? text.trim().split(/\s+/).join(' ') : text;
    return do_lowercase_and_remove_accent === true ? spaced.toLowerCase().replace(/\p{M}/gu, '') : spaced;
  };
}
