import { isDeepStrictEqual } from 'node:util';
import { GraftError } from '../errors.ts';
import { families } from '../outlines/families.ts';
import type { GgufField, PreTokenizer } from '../outlines/gguf/gguf-family.ts';
import { loadTokenizer, type TokenizerFiles } from '../text/index.ts';
import { tokenText } from '../text/tokenizer-config.ts';
import { preTokenizers } from './pre-tokenizers.ts';
import { MARK } from './sentencepiece.ts';
import { BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, USER_DEFINED } from './token-types.ts';

/** The parts of tokenizer.json that files hold. */
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

/**
 * The metadata of a tokenizer: the inverse of `ggufTokenizer`. `rows`: the number of rows of the embedding, which is that of the tokens in
 * files. `ends`: ids of the tokens that end an answer. Throws `unsupported_tokenizer` for one that files cannot express.
 */
export function tokenizerFields(
  files: TokenizerFiles,
  rows: number,
  ends: readonly number[],
): Record<string, GgufField> {
  const json = files.tokenizerJson as TokenizerJson;
  const config = files.tokenizerConfig ?? {};
  const model = json.model ?? {};
  if (model.type !== 'BPE')
    throw unsupported(`its model is ${model.type}, and GGUF files of decoders hold BPE`);
  const tokenizer = loadTokenizer(files);
  const isRow = (id: number | undefined): id is number => Number.isInteger(id) && id! >= 0 && id! < rows;
  const rowOf = idsByToken(json, isRow);
  const special = (name: string) => {
    const token = tokenText(config[name]);
    return token === null ? undefined : rowOf(token);
  };
  const [bos, pad] = [special('bos_token'), special('pad_token')];
  const unk = special('unk_token') ?? (model.unk_token == null ? undefined : rowOf(model.unk_token));
  const eos = special('eos_token') ?? ends.find(isRow);
  const turnEnd = ends.find((id) => isRow(id) && id !== eos);
  const around = tokenizer.encode('a');
  const plain = tokenizer.encode('a', { addSpecialTokens: false });
  const isMarked = (steps: Step[]) => steps.some((step) => step.type === 'Prepend' || isMetaspace(step));
  const { names, types } = listTokens(json, rows, unk);
  const id = (name: string, value: number | undefined): Record<string, GgufField> =>
    value === undefined ? {} : { [`tokenizer.ggml.${name}_token_id`]: { type: 'u32', value } };
  const own: Record<string, GgufField> = isSentencePiece(json)
    ? {
        'tokenizer.ggml.model': { type: 'string', value: sentencePieceModel() },
        'tokenizer.ggml.pre': { type: 'string', value: 'default' },
        'tokenizer.ggml.tokens': {
          type: 'strings',
          value: names.map((name, i) => (types[i] === USER_DEFINED ? withSpaces(name) : name)),
        },
        'tokenizer.ggml.scores': { type: 'f32s', value: scoresOf(json, names, types) },
        'tokenizer.ggml.add_space_prefix': {
          type: 'bool',
          value: isMarked([...stepsOf(json.normalizer), ...stepsOf(json.pre_tokenizer)]),
        },
      }
    : {
        'tokenizer.ggml.model': { type: 'string', value: byteLevelModel() },
        'tokenizer.ggml.pre': { type: 'string', value: preTokenizerName(files) },
        'tokenizer.ggml.tokens': { type: 'strings', value: names },
        'tokenizer.ggml.merges': {
          type: 'strings',
          value: (model.merges ?? []).map((merge) => (Array.isArray(merge) ? merge.join(' ') : merge)),
        },
      };
  const template = tokenizer.chatTemplateSource;
  return {
    ...own,
    'tokenizer.ggml.token_type': { type: 'i32s', value: types },
    ...id('bos', bos),
    ...id('eos', eos),
    ...id('eot', turnEnd),
    ...id('unknown', unk),
    ...id('padding', pad),
    'tokenizer.ggml.add_bos_token': {
      type: 'bool',
      value: around.length > plain.length && around[0] === bos,
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

/** The tokens of all ids below `rows`, with their types; ids that the tokenizer lacks get names that no text has. */
function listTokens({ added_tokens = [], model = {} }: TokenizerJson, rows: number, unk: number | undefined) {
  const names = Array.from({ length: rows }, (_, id) => `[PAD${id}]`);
  const types = new Array<number>(rows).fill(UNUSED);
  for (const [token, id] of Object.entries(model.vocab ?? {})) {
    if (id >= rows) continue;
    names[id] = token;
    types[id] = model.byte_fallback && byteName.test(token) ? BYTE : NORMAL;
  }
  for (const { id, content, special } of added_tokens) {
    if (id >= rows) continue;
    names[id] = content;
    types[id] = special ? CONTROL : USER_DEFINED;
  }
  if (unk !== undefined && unk < rows && types[unk] === NORMAL) types[unk] = UNKNOWN;
  return { names, types };
}

/** As llama.cpp's converter writes added tokens that are runs of marks. */
const withSpaces = (token: string) =>
  new RegExp(`^${MARK}+$`).test(token) ? ' '.repeat(token.length) : token;

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

/** Scores that give the order of the merges: minus the place of a token's first merge; 0 for tokens that no merge makes. */
function scoresOf({ model = {} }: TokenizerJson, names: string[], types: number[]): Float32Array {
  const place = new Map<string, number>();
  for (const merge of model.merges ?? []) {
    const token = Array.isArray(merge) ? merge.join('') : merge.replace(' ', '');
    if (!place.has(token)) place.set(token, place.size + 1);
  }
  return Float32Array.from(names, (name, id) => (types[id] === NORMAL ? -(place.get(name) ?? 0) : 0));
}

/** The name that llama.cpp has for how a tokenizer splits a text into words. */
function preTokenizerName(files: TokenizerFiles): string {
  const json = files.tokenizerJson as TokenizerJson;
  const other = stepsOf(json.normalizer).find(({ type }) => type !== 'NFC');
  if (other) throw unsupported(`llama.cpp does not normalise texts by ${other.type} before byte-level BPE`);
  const own = preTokenizerOf(json);
  if (own) {
    const { ignoreMerges, ...merged } = own;
    const name = nameOf(own) ?? (ignoreMerges && mergesGiveAll(files) ? nameOf(merged) : undefined);
    if (name !== undefined) return name;
  }
  const known = Object.keys(preTokenizers).filter((name) => name !== 'default');
  throw unsupported(
    `llama.cpp has no known name for its pre_tokenizer (${JSON.stringify(json.pre_tokenizer)?.slice(0, 200)}); those of ${known.join(', ')} can be written`,
  );
}

function nameOf(own: PreTokenizer): string | undefined {
  const found = Object.entries(preTokenizers).find(([name, { normalizer: _, addBos: __, ...words }]) => {
    // llama.cpp's default is another one.
    return name !== 'default' && isDeepStrictEqual(words, own);
  });
  return found?.[0];
}

/** Whether every word that is a token is the same token without `ignore_merges`, as in vocabularies from tiktoken. */
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
    {
      param: 'format',
    },
  );
}
