import { Tokenizer as HubTokenizer } from '@huggingface/tokenizers';
import { GraftError } from '../errors.ts';
import { show } from '../schema/check-fields.ts';
import { ByteLevelBpe, type EncodedText } from './byte-level-bpe.ts';
import { ChatTemplate, type ChatTemplateOptions } from './chat-template.ts';
import { withExactSplitting } from './exact-splitting.ts';
import type { ChatMessage } from './plain-expressions.ts';
import type { RenderedTurns } from './plain-template.ts';
import { StreamDecoder } from './stream-decoder.ts';

/** A model's tokenizer files, parsed, as Hugging Face names them. */
export interface TokenizerFiles {
  tokenizerJson: Record<string, unknown>;
  tokenizerConfig: Record<string, unknown> | null;
  /** chat_template.jinja; null when the template is in tokenizerConfig or there is none. */
  chatTemplate: string | null;
}

/** Names under which templates see special tokens, as in transformers' special_tokens_map. */
const SPECIAL_TOKEN_NAMES = [
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
];

/** Text to token ids and back, as the model's tokenizer.json says, and the model's chat template. */
export class Tokenizer {
  readonly #tokenizer: HubTokenizer;
  /** For most tokenizers a fast way to the same ids. */
  readonly #fast: ByteLevelBpe | null;
  #around: { before: number[]; after: number[] } | null = null;
  readonly #template: ChatTemplate | null;
  readonly #specialIds: ReadonlySet<number>;
  /** Any special token's text, longer ones first as in the tokenizer. */
  readonly #specialText: RegExp | null;
  readonly bosId: number | null;
  readonly eosId: number | null;
  readonly padId: number | null;

  /** Throws `unsupported_tokenizer` or `invalid_chat_template`. */
  constructor({ tokenizerJson, tokenizerConfig, chatTemplate }: TokenizerFiles) {
    const config = tokenizerConfig ?? {};
    try {
      const exact = withExactSplitting(tokenizerJson);
      this.#fast = cleansText(config)
        ? null
        : ByteLevelBpe.of(exact, () =>
            splitPatterns(withModel(exact, { vocab: {}, merges: [] }, config).pre_tokenizer),
          );
      // Merges are a third of what the library makes of its files, and only for the general way.
      this.#tokenizer = this.#fast
        ? withModel(exact, { merges: [] }, config)
        : new HubTokenizer(exact, config);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new GraftError('unsupported_tokenizer', `tokenizer.json cannot be used: ${reason}`, {
        param: 'model',
        cause,
      });
    }
    const special: Record<string, string> = {};
    for (const name of SPECIAL_TOKEN_NAMES) {
      const token = tokenText(config[name]);
      if (token !== null) special[name] = token;
    }
    const idOf = (name: string) => {
      const token = special[name];
      return token === undefined ? null : (this.#tokenizer.token_to_id(token) ?? null);
    };
    this.bosId = idOf('bos_token');
    this.eosId = idOf('eos_token');
    this.padId = idOf('pad_token');
    const added = [...this.#tokenizer.get_added_tokens_decoder()].filter(([, token]) => token.special);
    const ids = [...added.map(([id]) => id), this.bosId, this.eosId, this.padId];
    this.#specialIds = new Set(ids.filter((id) => id !== null));
    const texts = [...this.#specialIds].map((id) => this.#tokenizer.id_to_token(id) ?? '').filter(Boolean);
    texts.sort((a, b) => b.length - a.length);
    const escaped = texts.map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    this.#specialText = escaped.length === 0 ? null : new RegExp(escaped.join('|'), 'g');
    const source = chatTemplate ?? defaultTemplate(config.chat_template);
    this.#template = source === null ? null : new ChatTemplate(source, special);
  }

  /** addSpecialTokens (default true) also adds what the tokenizer puts around a text, such as a leading bos. */
  encode(text: string, { addSpecialTokens = true }: { addSpecialTokens?: boolean } = {}): number[] {
    if (!this.#fast) return this.#encodeByHub(text, addSpecialTokens);
    const { ids } = this.#fast.encode(text);
    if (!addSpecialTokens) return ids;
    const { before, after } = this.specialTokensAround();
    if (before.length + after.length === 0) return ids;
    return [...before, ...ids, ...after];
  }

  #encodeByHub(text: string, addSpecialTokens: boolean): number[] {
    if (text === '' && !addSpecialTokens) return [];
    let ids: (number | undefined)[];
    try {
      ids = this.#tokenizer.encode(text, { add_special_tokens: addSpecialTokens }).ids;
    } catch (cause) {
      // The library's Unigram hands its tokens on as arguments, some 120,000 of which exceed the stack.
      if (!(cause instanceof RangeError)) throw cause;
      throw new GraftError(
        'text_too_long',
        `has a text of ${text.length} characters, more than the tokenizer takes at once`,
        { cause },
      );
    }
    if (ids.includes(undefined)) {
      throw new GraftError('unsupported_tokenizer', 'the tokenizer has no token for a part of the text', {
        param: 'model',
      });
    }
    return ids as number[];
  }

  /** A text that is already as the model reads it, for questions about its beginnings. No special tokens are added. */
  encodeWhole(text: string): WholeText {
    const encode = (part: string) => this.encode(part, { addSpecialTokens: false });
    if (this.#fast) return new WholeText(text, this.#fast.encode(text), encode);
    return new WholeText(text, { ids: encode(text), cuts: [], counts: [], safeAfter: [] }, encode);
  }

  /** What the tokenizer puts before and after a text. */
  specialTokensAround(): { before: number[]; after: number[] } {
    this.#around ??= this.#findSpecialTokensAround();
    return this.#around;
  }

  decode(ids: Iterable<number>, { skipSpecialTokens = false }: { skipSpecialTokens?: boolean } = {}): string {
    const kept = skipSpecialTokens ? [...ids].filter((id) => !this.#specialIds.has(id)) : [...ids];
    return kept.length === 0 ? '' : this.#tokenizer.decode(kept, { clean_up_tokenization_spaces: false });
  }

  /** Decodes tokens as they come, special ones left out; never splits a character. */
  streamDecoder(): StreamDecoder {
    return new StreamDecoder((ids) => this.decode(ids, { skipSpecialTokens: true }));
  }

  /** ids, ending with the end-of-text token once; as they are for a model without one. */
  withEos(ids: number[]): number[] {
    return this.eosId === null ? ids : [...this.withoutEos(ids), this.eosId];
  }

  withoutEos(ids: number[]): number[] {
    return this.eosId !== null && ids.at(-1) === this.eosId ? ids.slice(0, -1) : ids;
  }

  #findSpecialTokensAround(): { before: number[]; after: number[] } {
    const bare = this.#encodeByHub('a', false);
    const whole = this.#encodeByHub('a', true);
    const start = whole.findIndex((_, i) => bare.every((id, j) => whole[i + j] === id));
    return { before: whole.slice(0, start), after: whole.slice(start + bare.length) };
  }

  isSpecial(id: number): boolean {
    return this.#specialIds.has(id);
  }

  /** Where special tokens begin in a text. */
  specialTokensIn(text: string): number[] {
    return this.#specialText === null
      ? []
      : Array.from(text.matchAll(this.#specialText), ({ index }) => index);
  }

  /** The conversation as the model's prompt. Throws `no_chat_template` and ChatTemplate.render's errors. */
  applyChatTemplate(messages: ChatMessage[], options: ChatTemplateOptions = {}): string {
    return this.#chatTemplate().render(messages, options);
  }

  /** As ChatTemplate.renderTurns. Throws `no_chat_template` besides. */
  renderTurns(messages: ChatMessage[], turns: readonly number[], now: Date): RenderedTurns {
    return this.#chatTemplate().renderTurns(messages, turns, now);
  }

  #chatTemplate(): ChatTemplate {
    if (this.#template) return this.#template;
    throw new GraftError(
      'no_chat_template',
      'this model has no chat template; send prompts or texts, not messages',
      {
        param: 'messages',
      },
    );
  }
}

type Encoded = Pick<EncodedText, 'ids' | 'cuts' | 'counts' | 'safeAfter'>;

/** A text, its tokens, and how many of them its beginnings share. */
export class WholeText {
  readonly ids: readonly number[];
  readonly #text: string;
  readonly #encoded: Encoded;
  readonly #encode: (part: string) => number[];

  constructor(text: string, encoded: Encoded, encode: (part: string) => number[]) {
    this.#text = text;
    this.#encoded = encoded;
    this.#encode = encode;
    this.ids = encoded.ids;
  }

  /**
   * How many tokens the beginning that ends at `end` (UTF-16 units) has when it is encoded alone, and how many of them, from the
   * first on, are those of the whole text.
   */
  beginning(end: number): { tokens: number; common: number } {
    const { ids, cuts, counts, safeAfter } = this.#encoded;
    const before = lastBelow(safeAfter, end);
    const count = before === -1 ? 0 : counts[before]!;
    const rest = this.#encode(this.#text.slice(before === -1 ? 0 : cuts[before]!, end));
    let common = 0;
    while (common < rest.length && rest[common] === ids[count + common]) common++;
    return { tokens: count + rest.length, common: count + common };
  }
}

/** Index of the last of ascending `values` that is below `limit`; −1 for none. */
function lastBelow(values: readonly number[], limit: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]! < limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Old tokenizers that change the text before all else. */
function cleansText(config: Record<string, unknown>): boolean {
  return Boolean(config.remove_space || config.do_lowercase_and_remove_accent);
}

/** The library's tokenizer of tokenizer.json with other parts in its model. */
function withModel(
  { model, ...rest }: { model?: object },
  parts: object,
  config: Record<string, unknown>,
): HubTokenizer {
  return new HubTokenizer({ ...rest, model: { ...model, ...parts } }, config);
}

interface HubPreTokenizer {
  config?: { type?: string };
  pattern?: RegExp | null;
  /** Of a Sequence. */
  tokenizers?: HubPreTokenizer[];
}

/** The patterns of every Split, in order. They are Oniguruma's; the library has translated them. */
function splitPatterns(preTokenizer: HubPreTokenizer | null): RegExp[] {
  if (preTokenizer?.tokenizers) return preTokenizer.tokenizers.flatMap(splitPatterns);
  const { config, pattern } = preTokenizer ?? {};
  return config?.type === 'Split' && pattern ? [pattern] : [];
}

export function loadTokenizer(files: TokenizerFiles): Tokenizer {
  return new Tokenizer(files);
}

/** Names a token that the tokenizer has and the model's embedding table of `vocabularySize` rows lacks. */
export function strayToken(tokenizer: Tokenizer, id: number, vocabularySize: number): string {
  return (
    `the token ${show(tokenizer.decode([id]))} with id ${id}, which the base model does not know: ` +
    `its embedding table has ${vocabularySize} rows, and the tokenizer was given more tokens`
  );
}

/** A token of tokenizer_config.json: its text, or an object with it. */
function tokenText(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (
    typeof value === 'object' &&
    value !== null &&
    'content' in value &&
    typeof value.content === 'string'
  ) {
    return value.content;
  }
  return null;
}

/** `chat_template` of tokenizer_config.json: a template, or a list of named ones. */
function defaultTemplate(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return null;
  const named = value.find((each) => each?.name === 'default');
  return typeof named?.template === 'string' ? named.template : null;
}
