import { Tokenizer as HubTokenizer } from '@huggingface/tokenizers';
import type { EncodedText } from '../encoded-text.ts';
import type { WordModel } from '../vocabularies/word-model.ts';
import { type AddedToken, AddedTokens, type SpecialTokens } from './added-tokens.ts';
import { endOfPiece } from './end-of-piece.ts';
import { type Section, type Sections, trimmed } from './sections.ts';

/** A step of a normaliser or pre-tokeniser. */
interface Step {
  type?: string;
  normalizers?: Step[];
  pretokenizers?: Step[];
  add_prefix_space?: boolean;
  prepend_scheme?: string;
}

interface TokenizerJson {
  normalizer?: Step | null;
  pre_tokenizer?: Step | null;
}

type Normalise = (text: string) => string;

interface GeneralParts {
  hub: HubTokenizer;
  /** See `innerTokenizer`. */
  inner: HubTokenizer;
  /** tokenizer_config.json. */
  config: Record<string, unknown>;
  words: WordModel;
  /** Tokens to find in the normalised text. */
  added: readonly AddedToken[];
  /** Ids of the tokens that are plain text where special tokens are not encoded. */
  special(): ReadonlySet<number>;
}

/**
 * Encodes with any tokenizer.json. Normaliser and pre-tokeniser are those of @huggingface/tokenizers, as is the order of all steps. The
 * vocabularies are not: the library's are slow, and its Unigram supports at most 120,000 tokens.
 */
export class GeneralSections implements Sections {
  readonly #hub: HubTokenizer;
  readonly #inner: HubTokenizer;
  readonly #words: WordModel;
  /** Tokens to find in the normalised text. */
  readonly #added: AddedTokens;
  readonly #special: () => ReadonlySet<number>;
  readonly #clean: Normalise;

  constructor({ hub, inner, config, words, added, special }: GeneralParts) {
    this.#hub = hub;
    this.#inner = inner;
    this.#words = words;
    this.#special = special;
    this.#clean = cleaning(config);
    const { normalizer } = hub;
    this.#added = new AddedTokens(
      new Map(normalizer ? added.map((token) => [normalizer(token.content) as string, token]) : []),
    );
  }

  encode(text: string, { from, isFirst, specialTokens }: Section, out: EncodedText): void {
    const normal = this.#normalise(text, this.#hub);
    out.part(from, from + text.length, () => this.surface(text, { isFirst }));
    const found: { at: number; end: number; token: AddedToken }[] = [];
    const places = this.#placesIn(normal, text, specialTokens);
    this.#added.find(normal, places, this.#special(), (at, end, token) => found.push({ at, end, token }));
    let at = 0;
    for (const [i, { at: start, end, token }] of found.entries()) {
      const before = normal.slice(at, start);
      const previous = found[i - 1]?.token;
      this.#plain(trimmed(before, previous, token), isFirst, out);
      out.push(token.id, end - start);
      at = end;
    }
    this.#plain(trimmed(normal.slice(at), found.at(-1)?.token, undefined), isFirst, out);
  }

  surface(piece: string, start: Pick<Section, 'isFirst'> | null): string {
    const hub = start ? this.#hub : this.#inner;
    return this.#split(this.#normalise(piece, hub), hub, start?.isFirst ?? false).join('');
  }

  units(surface: string): number {
    return surface.length;
  }

  #plain(text: string, isFirst: boolean, out: EncodedText): void {
    if (text === '') return;
    out.separate();
    for (const word of this.#split(text, this.#hub, isFirst)) this.#words.encode(word, out);
  }

  #normalise(text: string, { normalizer }: HubTokenizer): string {
    const cleaned = this.#clean(text);
    return normalizer ? (normalizer(cleaned) as string) : cleaned;
  }

  #split(text: string, { pre_tokenizer }: HubTokenizer, isFirst: boolean): string[] {
    if (text === '') return [];
    return pre_tokenizer ? pre_tokenizer(text, { section_index: isFirst ? 0 : 1 }) : [text];
  }

  /** Converts places in `text` to places in the normalised text. */
  #placesIn(normal: string, text: string, places: SpecialTokens): SpecialTokens {
    if (typeof places === 'string' || this.#added.isEmpty) return places;
    let from = 0;
    let at = 0;
    return places.map((place) => {
      const hub = from === 0 ? this.#hub : this.#inner;
      at = endOfPiece(normal, this.#normalise(text.slice(from, place), hub), at);
      from = place;
      return at;
    });
  }
}

/** Cleaning with which some old tokenizers change the text before all other steps. */
function cleaning({ remove_space, do_lowercase_and_remove_accent }: Record<string, unknown>): Normalise {
  return (text) => {
    const spaced = remove_space === true ? text.trim().split(/\s+/).join(' ') : text;
    return do_lowercase_and_remove_accent === true ? spaced.toLowerCase().replace(/\p{M}/gu, '') : spaced;
  };
}

/** The library's tokenizer for text that does not start a section: it adds no prefix. */
export function innerTokenizer(tokenizerJson: TokenizerJson, config: Record<string, unknown>): HubTokenizer {
  return new HubTokenizer(
    {
      ...tokenizerJson,
      normalizer: withoutPrefix(tokenizerJson.normalizer),
      pre_tokenizer: withoutPrefix(tokenizerJson.pre_tokenizer),
      model: { type: 'WordPiece', vocab: {}, unk_token: '' },
      added_tokens: [],
      post_processor: null,
      decoder: null,
    },
    config,
  );
}

function withoutPrefix(step: Step | null | undefined): Step | null {
  if (!step || step.type === 'Prepend') return null;
  const all = (steps: Step[] = []) => steps.map(withoutPrefix).filter((each) => each !== null);
  return {
    ...step,
    ...(step.normalizers ? { normalizers: all(step.normalizers) } : {}),
    ...(step.pretokenizers ? { pretokenizers: all(step.pretokenizers) } : {}),
    ...(step.type === 'Metaspace' ? { prepend_scheme: 'never' } : {}),
    ...(step.add_prefix_space ? { add_prefix_space: false } : {}),
  };
}
