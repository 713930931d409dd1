import { isDeepStrictEqual } from 'node:util';
import { GraftError } from '../errors.ts';
import { families } from '../outlines/families.ts';
import type { GgufFamily, GgufField, PreTokenizer } from '../outlines/gguf/gguf-family.ts';
import { loadTokenizer, type TokenizerFiles } from '../text/index.ts';
import { tokenText } from '../text/tokenizer-config.ts';
import { preTokenizers } from './pre-tokenizers.ts';
import { MARK } from './sentencepiece.ts';
import { BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, USER_DEFINED } from './token-types.ts';

interface TokenizerJson {
  added_tokens?: { id: number; content: string; special?: boolean }[];
  normalizer?: Step | null;
  pre_tokenizer?: Step | null;
  model?: {
    type?: string;
    vocab?: Record<string, number>;
    merges?: (string | [string, string])[];
    byte_fallback?: boolean;
    ignore_merges?: boolean;
    unk_token?: string | null;
  };
}

/** A normaliser or a pre-tokenizer. */
interface Step {
  type: string;
  normalizers?: Step[];
  pretokenizers?: Step[];
  [option: string]: unknown;
}

interface TokenizerModel {
  /** The number of rows of the embedding, which is that of the tokens in files. */
  rows: number;
  /** Ids of the tokens that end an answer. */
  ends: readonly number[];
  /** config.json, whose ids stand for special tokens that the tokenizer does not name. */
  config: Record<string, unknown>;
  family: GgufFamily;
}

/**
 * The metadata of a tokenizer: the inverse of `ggufTokenizer`, with the tokens and types of llama.cpp's converter. Throws
 * `unsupported_tokenizer` for one that files cannot express.
 */
export function tokenizerFields(
  files: TokenizerFiles,
  { rows, ends, config: modelConfig, family }: TokenizerModel,
): Record<string, GgufField> {
  const json = files.tokenizerJson as TokenizerJson;
  const config = files.tokenizerConfig ?? {};
  const model = json.model ?? {};
  if (model.type !== 'BPE')
    throw unsupported(`its model is ${model.type}, and GGUF files of decoders hold BPE`);
  const tokenizer = loadTokenizer(files);
  const isRow = (id: number | undefined): id is number => Number.isInteger(id) && id! >= 0 && id! < rows;
  const rowOf = idsByToken(json, isRow);
  const idsOfModel = [modelConfig, (modelConfig.text_config ?? {}) as Record<string, unknown>];
  const special = (name: string) => {
    const token = tokenText(config[`${name}_token`]);
    const own = token === null ? undefined : rowOf(token);
    return own ?? idsOfModel.map((ids) => ids[`${name}_token_id`] as number | undefined).find(isRow);
  };
  const bos = special('bos');
  const unk = special('unk') ?? (model.unk_token == null ? undefined : rowOf(model.unk_token));
  const eos = special('eos') ?? ends.find(isRow);
  const turnEnd = ends.find((id) => isRow(id) && id !== eos);
  const around = tokenizer.encode('a');
  const plain = tokenizer.encode('a', { addSpecialTokens: false });
  const isMarked = (steps: Step[]) => steps.some((step) => step.type === 'Prepend' || isMetaspace(step));
  const hasMarks = isSentencePiece(json);
  const marked = hasMarks ? family.markedTokenizer : undefined;
  const tokens = listTokens(json, rows, unk, marked?.visible ?? []);
  const { names, types } = tokens;
  const id = (name: string, value: number | undefined): Record<string, GgufField> =>
    value === undefined ? {} : { [`tokenizer.ggml.${name}_token_id`]: { type: 'u32', value } };
  const merges: Record<string, GgufField> = {
    'tokenizer.ggml.merges': {
      type: 'strings',
      value: (model.merges ?? []).map((merge) => (Array.isArray(merge) ? merge.join(' ') : merge)),
    },
  };
  const own: Record<string, GgufField> = hasMarks
    ? {
        'tokenizer.ggml.model': { type: 'string', value: marked?.model ?? sentencePieceModel() },
        ...(marked ? merges : { 'tokenizer.ggml.pre': { type: 'string', value: 'default' } }),
        'tokenizer.ggml.scores': {
          type: 'f32s',
          value: marked ? names.map(() => ADDED) : scoresOf(json, tokens),
        },
        'tokenizer.ggml.add_space_prefix': {
          type: 'bool',
          value: isMarked([...stepsOf(json.normalizer), ...stepsOf(json.pre_tokenizer)]),
        },
      }
    : {
        'tokenizer.ggml.model': { type: 'string', value: byteLevelModel() },
        'tokenizer.ggml.pre': { type: 'string', value: preTokenizerName(files, family) },
        ...merges,
      };
  const template = tokenizer.chatTemplateSource;
  return {
    ...own,
    'tokenizer.ggml.tokens': { type: 'strings', value: names },
    'tokenizer.ggml.token_type': { type: 'i32s', value: types },
    ...id('bos', bos),
    ...id('eos', eos),
    ...id('eot', turnEnd),
    ...id('unknown', unk),
    ...id('padding', special('pad')),
    ...id('mask', special('mask')),
    'tokenizer.ggml.add_bos_token': {
      type: 'bool',
      value: marked !== undefined || (around.length > plain.length && around[0] === bos),
    },
    'tokenizer.ggml.add_eos_token': {
      type: 'bool',
      value: around.length > plain.length && around.at(-1) === eos,
    },
    ...(template === null ? {} : { 'tokenizer.chat_template': { type: 'string' as const, value: template } }),
  };
}

/** Finds the id of a token; undefined for a token without a row. */
function idsByToken(
  { added_tokens = [], model }: TokenizerJson,
  isRow: (id: number | undefined) => id is number,
): (token: string) => number | undefined {
  const added = new Map(added_tokens.map(({ content, id }) => [content, id]));
  const vocabulary = model?.vocab ?? {};
  return (token) => {
    const id = added.get(token) ?? (Object.hasOwn(vocabulary, token) ? vocabulary[token] : undefined);
    return isRow(id) ? id : undefined;
  };
}

const byteName = /^<0x[0-9A-F]{2}>$/;

/** Added tokens that control a model although their tokenizer does not call them special. Source: llama.cpp, conversion/base.py. */
const looksSpecial = /^(<\|.*\|>|<｜.*｜>|<unused.*>|<pad>|<mask>|<2mass>|\[@BOS@\])$/s;

interface Tokens {
  names: string[];
  types: number[];
  /** Ids of the tokens that were added to the vocabulary. */
  added: ReadonlySet<number>;
}

/** The tokens of all ids below `rows`, with their types; ids that the tokenizer lacks get names that no text has. */
function listTokens(
  { added_tokens = [], model = {} }: TokenizerJson,
  rows: number,
  unk: number | undefined,
  visible: readonly string[],
): Tokens {
  const names = Array.from({ length: rows }, (_, id) => `[PAD${id}]`);
  const types = new Array<number>(rows).fill(UNUSED);
  for (const [token, id] of Object.entries(model.vocab ?? {})) {
    if (id >= rows) continue;
    names[id] = token;
    types[id] = model.byte_fallback && byteName.test(token) ? BYTE : NORMAL;
  }
  for (const { id, content, special } of added_tokens) {
    if (id >= rows) continue;
    const controls = (special || looksSpecial.test(content)) && !visible.includes(content);
    // Texts have no marks where llama.cpp looks for these tokens.
    names[id] = controls ? content : content.replaceAll(MARK, ' ');
    types[id] = controls ? CONTROL : USER_DEFINED;
  }
  if (unk !== undefined && unk < rows && types[unk] === NORMAL) types[unk] = UNKNOWN;
  return { names, types, added: new Set(added_tokens.map(({ id }) => id)) };
}

function stepsOf(step: Step | null | undefined): Step[] {
  if (!step) return [];
  return step.type === 'Sequence'
    ? (step.normalizers ?? step.pretokenizers ?? []).flatMap((each) => stepsOf(each))
    : [step];
}

const isMetaspace = ({ type, prepend_scheme, add_prefix_space }: Step): boolean =>
  type === 'Metaspace' && (prepend_scheme ?? (add_prefix_space === false ? 'never' : 'always')) !== 'never';

/** Spaces are marks within tokens, and characters without a token are bytes. */
function isSentencePiece({ model, normalizer, pre_tokenizer }: TokenizerJson): boolean {
  const toMarks = stepsOf(normalizer).some(({ type, content }) => type === 'Replace' && content === MARK);
  return (
    model?.byte_fallback === true &&
    (toMarks || stepsOf(pre_tokenizer).some(({ type }) => type === 'Metaspace'))
  );
}

const sentencePieceModel = () => families.flatMap(({ gguf }) => gguf?.sentencePieceTokenizer ?? [])[0]!;
const byteLevelModel = () => families.flatMap(({ gguf }) => gguf?.byteLevelTokenizer ?? [])[0]!;

/** The converter's scores of added tokens, and of rows without one. */
const ADDED = -1000;
const MISSING = -10_000;

/** Scores that give the order of the merges: minus the place of a token's first merge; 0 for tokens that no merge makes. */
function scoresOf({ model = {} }: TokenizerJson, { names, types, added }: Tokens): Float32Array {
  const place = new Map<string, number>();
  for (const merge of model.merges ?? []) {
    const token = Array.isArray(merge) ? merge.join('') : merge.replace(' ', '');
    if (!place.has(token)) place.set(token, place.size + 1);
  }
  return Float32Array.from(names, (name, id) => {
    if (added.has(id)) return ADDED;
    if (types[id] === UNUSED) return MISSING;
    return types[id] === NORMAL ? -(place.get(name) ?? 0) : 0;
  });
}

/** The name that llama.cpp has for how a tokenizer splits a text into words: the family's own where several names are for one way. */
function preTokenizerName(files: TokenizerFiles, family: GgufFamily): string {
  const json = files.tokenizerJson as TokenizerJson;
  const other = stepsOf(json.normalizer).find(({ type }) => type !== 'NFC');
  if (other) throw unsupported(`llama.cpp does not normalise texts by ${other.type} before byte-level BPE`);
  const own = preTokenizerOf(json);
  if (own) {
    const { ignoreMerges, ...merged } = own;
    const names = { ...family.preTokenizers, ...preTokenizers };
    const name =
      nameOf(own, names) ?? (ignoreMerges && mergesGiveAll(files) ? nameOf(merged, names) : undefined);
    if (name !== undefined) return name;
  }
  const known = Object.keys(preTokenizers).filter((name) => name !== 'default');
  throw unsupported(
    `llama.cpp has no known name for its pre_tokenizer (${JSON.stringify(json.pre_tokenizer)?.slice(0, 200)}); those of ${known.join(', ')} can be written`,
  );
}

function nameOf(own: PreTokenizer, names: Readonly<Record<string, PreTokenizer>>): string | undefined {
  const found = Object.entries(names).find(([name, { normalizer: _, addBos: __, ...words }]) => {
    // llama.cpp's default is another one.
    return name !== 'default' && isDeepStrictEqual(words, own);
  });
  return found?.[0];
}

/** Returns true if every word that is a token is the same token without `ignore_merges`, as in vocabularies from tiktoken. */
function mergesGiveAll(files: TokenizerFiles): boolean {
  const json = files.tokenizerJson as TokenizerJson;
  const tokenizerJson = { ...json, model: { ...json.model, ignore_merges: false } };
  const [own, merged] = [loadTokenizer(files), loadTokenizer({ ...files, tokenizerJson })];
  const tokensOf = (tokenizer: typeof own, text: string) =>
    tokenizer.encode(text, { addSpecialTokens: false }).join();
  return Object.values(json.model?.vocab ?? {}).every((id) => {
    const text = own.decode([id]);
    const found = tokensOf(merged, text);
    return found === String(id) || found === tokensOf(own, text);
  });
}

/** Null for a pre-tokenizer of another form. */
function preTokenizerOf({ pre_tokenizer, model }: TokenizerJson): PreTokenizer | null {
  const steps = stepsOf(pre_tokenizer);
  const last = steps.pop();
  if (last?.type !== 'ByteLevel' || last.add_prefix_space === true) return null;
  let found: PreTokenizer = model?.ignore_merges ? { ignoreMerges: true } : {};
  for (const step of steps) {
    const pattern = (step.pattern as { Regex?: string } | undefined)?.Regex;
    if (step.type === 'Digits' && step.individual_digits === true) found = { ...found, digitsApart: true };
    else if (
      step.type === 'Split' &&
      pattern &&
      found.pattern === undefined &&
      step.behavior === 'Isolated' &&
      !step.invert
    )
      found = { ...found, pattern };
    else return null;
  }
  // ByteLevel's own pattern splits again unless it is off.
  const splits = last.use_regex !== false;
  return splits === (found.pattern === undefined) ? found : null;
}

function unsupported(reason: string): GraftError {
  return new GraftError(
    'unsupported_tokenizer',
    `the tokenizer cannot be written to a GGUF file: ${reason}; export it as merged`,
    { param: 'format' },
  );
}
