import { Tokenizer as HubTokenizer } from '@huggingface/tokenizers';
import { ChatTemplate, type ChatTemplateOptions } from '../chat/chat-template.ts';
import type { Message, Tool } from '../chat/message.ts';
import type { RenderedTurns, TurnPlace } from '../chat/rendered-turns.ts';
import { checkDepth, withMessageTexts, withToolTexts } from '../chat/template-input.ts';
import type { EncodedTurns, EncodeTurnsOptions, TurnTokenizer } from '../chat/turn-tokens.ts';
import { GraftError } from '../errors.ts';
import { show } from '../schema/check-fields.ts';
import { type TemplateKwargs, withTexts } from '../schema/template-kwargs.ts';
import { ByteLevelBpe } from './byte-level-bpe.ts';
import type { Deadline } from './deadline.ts';
import { EncodedText } from './encoded-text.ts';
import { withExactSplitting } from './exact-splitting.ts';
import { type AddedToken, countUpTo, type SpecialTokens } from './sections/added-tokens.ts';
import { GeneralSections } from './sections/general-sections.ts';
import { SectionSplitter } from './sections/section-splitter.ts';
import type { Sections } from './sections/sections.ts';
import { type GuardedText, SpecialText } from './special-text.ts';
import { decoderOf } from './steps/decoder.ts';
import type { Step } from './steps/step.ts';
import { StreamDecoder } from './stream-decoder.ts';
import { defaultTemplate, tokenText } from './tokenizer-config.ts';
import type { ModelJson } from './vocabularies/word-model.ts';
import { LibraryWords, wordModelOf } from './vocabularies/word-models.ts';
import { WholeText } from './whole-text.ts';

/** A model's tokenizer files, parsed, with Hugging Face's names. */
export interface TokenizerFiles {
  tokenizerJson: Record<string, unknown>;
  tokenizerConfig: Record<string, unknown> | null;
  /** chat_template.jinja; null if the template is in tokenizerConfig or there is none. */
  chatTemplate: string | null;
}

interface TokenizerJson {
  model?: ModelJson;
  added_tokens?: AddedToken[];
  decoder?: Step | null;
}

/** Names of special tokens in templates, as in transformers' special_tokens_map. */
const SPECIAL_TOKEN_NAMES = [
  'bos_token',
  'eos_token',
  'unk_token',
  'sep_token',
  'pad_token',
  'cls_token',
  'mask_token',
];

export interface EncodeOptions {
  /** Also adds the tokens that the tokenizer puts around a text, such as a leading bos. Default true. */
  addSpecialTokens?: boolean;
  /** With "none", special tokens in the text are encoded as plain text. Default "all": they are encoded as tokens. */
  specialTokens?: SpecialTokens;
  /** A text that begins with the bos token gets a second one, as with transformers' tokenizers. Default false. */
  repeatsBos?: boolean;
  deadline?: Pick<Deadline, 'check'> | null;
}

export interface RenderOptions extends ChatTemplateOptions {
  /** Special tokens in messages are encoded as tokens, not as plain text. Default false. */
  allowSpecialTokens?: boolean;
}

/** Form of added tokens that start or end a turn; spaces, words and line ends may be added tokens, too. */
const IN_BRACKETS = /^[<[].*[>\]]$/s;

/** UTF-16 units at the end of a prompt whose tokens alone are compared with those before an answer; of a longer section, its last tokens. */
const LONGEST_TAIL = 512;
const TOKENS_AT_END = 8;

/** Converts text to token ids and back as defined by the model's tokenizer.json, and applies the model's chat template. */
export class Tokenizer implements TurnTokenizer {
  readonly #tokenizer: HubTokenizer;
  /** Null: the library's. */
  readonly #decoder: ((tokens: readonly string[]) => string) | null;
  readonly #sections: Sections;
  readonly #splitter: SectionSplitter;
  readonly #added: readonly AddedToken[];
  /** Texts of the added tokens that are found in the normalised text, by id. */
  #normalTexts: ReadonlyMap<number, string> = new Map();
  #around: { before: number[]; after: number[] } | null = null;
  readonly #template: ChatTemplate | null;
  /** Request field that the chat template is from. */
  readonly templateParam: string;
  /** Source of the chat template; null for a model without one. */
  readonly chatTemplateSource: string | null;
  readonly #specialIds: ReadonlySet<number>;
  /** The last tokens that `#beginsWith` encoded: most texts before an answer end with the same header. `key`: the text and its special tokens. */
  #latestTail: { key: string; ids: readonly number[] } | null = null;
  #userText: { special: SpecialText; ids: ReadonlySet<number> } | null = null;
  readonly bosId: number | null;
  readonly eosId: number | null;
  readonly padId: number | null;

  /**
   * Throws `unsupported_tokenizer` or `invalid_chat_template`. `templateParam`: request field that the chat template is from, for its errors.
   */
  constructor({ tokenizerJson, tokenizerConfig, chatTemplate }: TokenizerFiles, templateParam = 'model') {
    this.templateParam = templateParam;
    const config = tokenizerConfig ?? {};
    const special: Record<string, string> = {};
    for (const name of SPECIAL_TOKEN_NAMES) {
      const token = tokenText(config[name]);
      if (token !== null) special[name] = token;
    }
    const json = tokenizerJson as TokenizerJson;
    this.#added = json.added_tokens ?? [];
    const idOf = (name: string) => (special[name] === undefined ? null : idOfToken(json, special[name]));
    this.bosId = idOf('bos_token');
    this.eosId = idOf('eos_token');
    this.padId = idOf('pad_token');
    const ids = [this.bosId, this.eosId, this.padId].filter((id) => id !== null);
    this.#specialIds = new Set([...this.#added.filter((token) => token.special).map(({ id }) => id), ...ids]);
    const controls = () => this.#specialInText().ids;
    try {
      this.#decoder = decoderOf(json.decoder);
      const exact = withExactSplitting(tokenizerJson);
      const splitsOf = () =>
        splitPatterns(withModel(exact, { vocab: {}, merges: [] }, config).pre_tokenizer as object | null);
      const lengthOf = (id: number) => this.#tokenizer.id_to_token(id)?.length ?? 0;
      const fast = cleansText(config) ? null : ByteLevelBpe.of(exact, splitsOf, this.#specialIds, lengthOf);
      if (fast) {
        // Merges are a third of what the library builds from the files, and only its own BPE needs them.
        this.#tokenizer = withModel(exact, { merges: [] }, config);
        this.#sections = fast;
        this.#splitter = new SectionSplitter(this.#added, fast, controls);
      } else {
        const words = wordModelOf((exact as TokenizerJson).model ?? {}, this.#specialIds);
        this.#tokenizer = words ? withModel(exact, { merges: [] }, config) : new HubTokenizer(exact, config);
        const isNormal = ({ normalized, special }: AddedToken) =>
          this.#tokenizer.normalizer !== null && (normalized ?? !special);
        const sections = new GeneralSections({
          tokenizerJson: exact,
          config,
          words: words ?? new LibraryWords(this.#tokenizer.model!, this.#specialIds),
          added: this.#added.filter(isNormal),
          special: controls,
        });
        this.#sections = sections;
        this.#normalTexts = sections.addedTexts;
        const others = this.#added.filter((token) => !isNormal(token));
        this.#splitter = new SectionSplitter(others, this.#sections, controls);
      }
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new GraftError('unsupported_tokenizer', `tokenizer.json cannot be used: ${reason}`, {
        param: 'model',
        cause,
      });
    }
    const source = chatTemplate ?? defaultTemplate(config.chat_template);
    this.chatTemplateSource = source;
    this.#template = source === null ? null : new ChatTemplate(source, special, templateParam);
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    const { addSpecialTokens = true, specialTokens = 'all', repeatsBos = false, deadline = null } = options;
    const { ids } = this.#encode(text, specialTokens, new EncodedText({ deadline }));
    if (!addSpecialTokens) return ids;
    const { before, after } = this.specialTokensAround();
    if (before.length + after.length === 0) return ids;
    // The text was already rendered with its bos token.
    if (!repeatsBos && before.length === 1 && before[0] === this.bosId && ids[0] === this.bosId)
      return [...ids, ...after];
    return [...before, ...ids, ...after];
  }

  /** Encodes an already rendered text for queries about its prefixes. Adds no special tokens. */
  encodeWhole({ text, specialTokens }: GuardedText, deadline: EncodeOptions['deadline'] = null): WholeText {
    const encoded = new EncodedText({ withPlaces: true, deadline });
    return new WholeText(text, this.#encode(text, specialTokens, encoded), this.#sections);
  }

  /** Throws `text_too_long` and `text_too_slow`. */
  #encode(text: string, specialTokens: SpecialTokens, out: EncodedText): EncodedText {
    try {
      return this.#splitter.encode(text, specialTokens, out);
    } catch (cause) {
      // Thrown by patterns that split words: some match a million characters at once, more than the engine can backtrack.
      if (!(cause instanceof RangeError)) throw cause;
      throw new GraftError(
        'text_too_long',
        `has a text of ${text.length} characters, more than the tokenizer takes at once`,
        { cause },
      );
    }
  }

  specialTokensAround(): { before: number[]; after: number[] } {
    this.#around ??= this.#findSpecialTokensAround();
    return this.#around;
  }

  decode(ids: Iterable<number>, { skipSpecialTokens = false }: { skipSpecialTokens?: boolean } = {}): string {
    const kept = skipSpecialTokens ? [...ids].filter((id) => !this.#specialIds.has(id)) : [...ids];
    if (kept.length === 0) return '';
    if (!this.#decoder) return this.#tokenizer.decode(kept, { clean_up_tokenization_spaces: false });
    const textOf = (id: number) => this.#normalTexts.get(id) ?? this.#tokenizer.id_to_token(id);
    // Ids that the tokenizer lacks have no text: models may have more embeddings than tokens.
    return this.#decoder(kept.map(textOf).filter((text) => text !== undefined));
  }

  /** Decodes tokens one by one without special tokens except those of `shown`; never splits a character. */
  streamDecoder(shown: ReadonlySet<number> = new Set()): StreamDecoder {
    const isShown = (id: number) => shown.has(id) || !this.#specialIds.has(id);
    return new StreamDecoder((ids) => this.decode(ids.filter(isShown)));
  }

  specialIdsOf(texts: readonly string[]): Set<number> {
    const found = this.#added.filter(
      ({ id, content }) => this.#specialIds.has(id) && texts.includes(content),
    );
    return new Set(found.map(({ id }) => id));
  }

  /** Tokens of the first `size` ids with `sign`, a printable ASCII character, in their text. */
  tokensWith(sign: string, size: number): { id: number; text: string }[] {
    const ids = Array.from({ length: size }, (_, id) => id);
    // The vocabulary writes these characters as they are, or in a form such as <0x3E>.
    const found = ids.filter((id) => this.#tokenizer.id_to_token(id)?.includes(sign));
    return found.map((id) => ({ id, text: this.decode([id]) }));
  }

  /** `ids` with exactly one end-of-text token at the end; unchanged for a model without one. */
  withEos(ids: number[]): number[] {
    return this.eosId === null ? ids : [...this.withoutEos(ids), this.eosId];
  }

  withoutEos(ids: number[]): number[] {
    return this.eosId !== null && ids.at(-1) === this.eosId ? ids.slice(0, -1) : ids;
  }

  #findSpecialTokensAround(): { before: number[]; after: number[] } {
    const [bare, whole] = [false, true].map(
      (add_special_tokens) => this.#tokenizer.encode('a', { add_special_tokens }).ids,
    ) as [number[], number[]];
    const start = whole.findIndex((_, i) => bare.every((id, j) => whole[i + j] === id));
    return { before: whole.slice(0, start), after: whole.slice(start + bare.length) };
  }

  isSpecial(id: number): boolean {
    return this.#specialIds.has(id);
  }

  countSpecialTokens(text: string): number {
    return this.#specialInText().special.count(text);
  }

  /** Steps that the chat template has taken so far, see TemplateBudget. */
  get templateSteps(): number {
    return this.#template?.steps ?? 0;
  }

  /** The conversation as the model's prompt. Throws `no_chat_template` and the errors of ChatTemplate.render. */
  applyChatTemplate(messages: readonly Message[], options: RenderOptions = {}): string {
    return this.renderChat(messages, options).text;
  }

  /** Like `applyChatTemplate`, for `encodeWhole` and `encode`. */
  renderChat(messages: readonly Message[], options: RenderOptions = {}): GuardedText {
    const template = this.#chatTemplate();
    checkDepth(messages, options.tools);
    if (options.allowSpecialTokens) return { text: template.render(messages, options), specialTokens: 'all' };
    return SpecialText.read(template.render(this.#guarded(messages), this.#guardedOptions(options)));
  }

  /** Throws `no_chat_template` and the errors of ChatTemplate.renderTurns. */
  encodeTurns(
    messages: readonly Message[],
    turns: readonly number[],
    options: EncodeTurnsOptions = {},
  ): EncodedTurns | null {
    const rendered = this.#renderTurns(messages, turns, options);
    if (!rendered) return null;
    const whole = this.encodeWhole(rendered, options.deadline);
    const isServed = ({ served }: TurnPlace) => served === null || this.#beginsWith(whole, rendered, served);
    return rendered.turns.every(isServed) ? { ...rendered, whole } : null;
  }

  /** Throws `no_chat_template` and the errors of ChatTemplate.renderAnswer. */
  encodeAnswer(
    messages: readonly Message[],
    { allowSpecialTokens = false, deadline = null, ...options }: EncodeTurnsOptions = {},
  ): EncodedTurns {
    const template = this.#chatTemplate();
    const rendered = allowSpecialTokens
      ? template.renderAnswer(messages, options)
      : template.renderAnswer(this.#guarded(messages), this.#guardedOptions(options));
    const read = (text: string): GuardedText =>
      allowSpecialTokens ? { text, specialTokens: 'all' } : SpecialText.read(text);
    const all = read(rendered.text);
    const prompt = read(rendered.text.slice(0, rendered.prompt));
    const { length } = prompt.text;
    const together = this.encodeWhole(all, deadline);
    const apart = () => {
      const answer = read(rendered.text.slice(rendered.prompt));
      return joined(this.encodeWhole(prompt, deadline), length, this.encodeWhole(answer, deadline));
    };
    const whole = this.#beginsWith(together, all, length) ? together : apart();
    const { text } = all;
    const place = { prompt: length, served: length, through: text.length, generated: null, isPrefix: true };
    return { text, turns: [place], whole };
  }

  /**
   * Returns true if the tokens of a text begin with those of its first `end` units alone. A token may span both sides, and patterns that split
   * words look ahead at white space; both end at an added token.
   */
  #beginsWith(whole: WholeText, { text, specialTokens }: GuardedText, end: number): boolean {
    const { tokens, isExact } = whole.beginning(end);
    if (!isExact) return false;
    const section = whole.sectionBefore(end);
    const from = Math.max(section, end - LONGEST_TAIL);
    const tail = text.slice(from, end);
    const places =
      specialTokens === 'all' || specialTokens === 'none'
        ? specialTokens
        : specialTokens
            .slice(countUpTo(specialTokens, from), countUpTo(specialTokens, end))
            .map((at) => at - from);
    const key = `${places} ${tail}`;
    if (this.#latestTail?.key !== key)
      this.#latestTail = { key, ids: this.#encode(tail, places, new EncodedText()).ids };
    const { ids } = this.#latestTail;
    // The start of a section that is cut may have other tokens.
    const compared = from === section ? ids.length : Math.min(ids.length, TOKENS_AT_END);
    return ids.slice(ids.length - compared).every((id, i) => id === whole.ids[tokens - compared + i]);
  }

  #renderTurns(
    messages: readonly Message[],
    turns: readonly number[],
    { allowSpecialTokens = false, ...options }: EncodeTurnsOptions,
  ): (RenderedTurns & GuardedText) | null {
    const template = this.#chatTemplate();
    checkDepth(messages, options.tools);
    if (allowSpecialTokens) {
      const rendered = template.renderTurns(messages, turns, options);
      return rendered && { ...rendered, specialTokens: 'all' };
    }
    const rendered = template.renderTurns(this.#guarded(messages), turns, this.#guardedOptions(options));
    if (!rendered) return null;
    const { text, specialTokens, placeOf } = SpecialText.read(rendered.text);
    const places = rendered.turns.map(({ prompt, served, through, generated, isPrefix }) => ({
      prompt: placeOf(prompt),
      served: served === null ? null : placeOf(served),
      through: placeOf(through),
      generated: generated?.map(({ from, to }) => ({ from: placeOf(from), to: placeOf(to) })) ?? null,
      isPrefix,
    }));
    return { text, specialTokens, turns: places };
  }

  /** The messages with marks, which pass through the template: see SpecialText. */
  #guarded(messages: readonly Message[]): Message[] {
    const { special } = this.#specialInText();
    return messages.map((message) => withMessageTexts(message, (text) => special.guard(text)));
  }

  #guardedOptions<T extends { kwargs?: TemplateKwargs; tools?: readonly Tool[] }>(options: T): T {
    const { special } = this.#specialInText();
    const guarded = { ...options, kwargs: this.#guardedKwargs(options.kwargs) };
    if (options.tools) guarded.tools = withToolTexts(options.tools, (text) => special.guard(text));
    return guarded;
  }

  #guardedKwargs(kwargs: TemplateKwargs = {}): TemplateKwargs {
    if (Object.keys(kwargs).length === 0) return kwargs;
    const { special } = this.#specialInText();
    return withTexts(kwargs, (text) => special.guard(text)) as TemplateKwargs;
  }

  /** The special tokens in users' texts: the tokenizer's, and other added tokens that the template writes around turns. */
  #specialInText(): { special: SpecialText; ids: ReadonlySet<number> } {
    if (this.#userText) return this.#userText;
    const ids = new Set(this.#specialIds);
    const others = this.#added.filter(({ id, content }) => !ids.has(id) && IN_BRACKETS.test(content));
    const turns = others.length === 0 ? '' : (this.#template?.around() ?? '');
    for (const { id, content } of others)
      if (turns.includes(content) && !isTagOfText(content, turns)) ids.add(id);
    const texts = [...ids].map((id) => this.#tokenizer.id_to_token(id) ?? '').filter(Boolean);
    this.#userText = { special: new SpecialText(texts), ids };
    return this.#userText;
  }

  #chatTemplate(): ChatTemplate {
    if (this.#template) return this.#template;
    throw new GraftError(
      'no_chat_template',
      'this model has no chat template; send prompts or texts, not messages',
      { param: 'messages' },
    );
  }
}

/** The tokens of two texts that are tokenised apart. `length`: that of the first, in UTF-16 units. */
function joined(first: WholeText, length: number, second: WholeText): EncodedTurns['whole'] {
  return {
    ids: [...first.ids, ...second.ids],
    beginning(end) {
      if (end <= length) return first.beginning(end);
      const { tokens, isExact } = second.beginning(end - length);
      return { tokens: first.ids.length + tokens, isExact };
    },
  };
}

/** Returns true if a token is one of a pair of tags within turns, such as `<think>` and `</think>`: models generate and templates read them. */
function isTagOfText(token: string, turns: string): boolean {
  const name = /^<\/?([a-z_]+)>$/.exec(token)?.[1];
  return name !== undefined && turns.includes(`<${name}>`) && turns.includes(`</${name}>`);
}

/** Null for a token that the tokenizer lacks. */
function idOfToken({ model, added_tokens }: TokenizerJson, text: string): number | null {
  const added = added_tokens?.find(({ content }) => content === text);
  if (added) return added.id;
  const vocab = model?.vocab;
  if (Array.isArray(vocab)) {
    const id = vocab.findIndex((entry) => entry?.[0] === text);
    return id === -1 ? null : id;
  }
  const isKnown = typeof vocab === 'object' && vocab !== null && Object.hasOwn(vocab, text);
  return isKnown ? (vocab as Record<string, number>)[text]! : null;
}

/** Returns true if the tokenizer is an old one that cleans the text before all other steps. */
function cleansText(config: Record<string, unknown>): boolean {
  return Boolean(config.remove_space || config.do_lowercase_and_remove_accent);
}

/** The library's tokenizer for tokenizer.json with `parts` replaced in its model. */
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
  /** For a Sequence. */
  tokenizers?: HubPreTokenizer[];
}

/** The patterns of all Splits, in order, as the library translated them from Oniguruma syntax. */
function splitPatterns(preTokenizer: HubPreTokenizer | null): RegExp[] {
  if (preTokenizer?.tokenizers) return preTokenizer.tokenizers.flatMap(splitPatterns);
  const { config, pattern } = preTokenizer ?? {};
  return config?.type === 'Split' && pattern ? [pattern] : [];
}

export function loadTokenizer(files: TokenizerFiles): Tokenizer {
  return new Tokenizer(files);
}

/** Describes a token that the tokenizer has but the model's embedding table of `vocabularySize` rows lacks. */
export function strayToken(tokenizer: Tokenizer, id: number, vocabularySize: number): string {
  return (
    `the token ${show(tokenizer.decode([id]))} with id ${id}, which the base model does not know: ` +
    `its embedding table has ${vocabularySize} rows, and the tokenizer was given more tokens`
  );
}
