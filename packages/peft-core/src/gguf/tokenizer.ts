import { GraftError } from '../errors.ts';
import { families } from '../outlines/families.ts';
import type { TokenizerFiles } from '../text/tokenizer.ts';
import type { GgufMetadata } from './metadata.ts';
import { preTokenizerFor, preTokenizerJson } from './pre-tokenizers.ts';

/** GGUF token types (an enum of llama.cpp's header) that are never split into pieces. */
const CONTROL = 3;
const USER_DEFINED = 4;

const byteLevelModels = families.flatMap(({ gguf }) => gguf?.byteLevelTokenizer ?? []);

/** Builds the files of a Hugging Face tokenizer from GGUF metadata. Throws GraftError `unsupported_tokenizer` or `invalid_gguf`. */
export function ggufTokenizer(
  path: string,
  metadata: GgufMetadata,
  contextLength: number | undefined,
): TokenizerFiles {
  const model = metadata.required('tokenizer.ggml.model', metadata.string('tokenizer.ggml.model'));
  if (!byteLevelModels.includes(model)) {
    throw new GraftError(
      'unsupported_tokenizer',
      `${path}: tokenizer model "${model}" is not supported; supported: ${byteLevelModels.join(', ')} (byte-level BPE)`,
      { param: 'model' },
    );
  }
  const tokens = metadata.required('tokenizer.ggml.tokens', metadata.strings('tokenizer.ggml.tokens'));
  const merges = metadata.required('tokenizer.ggml.merges', metadata.strings('tokenizer.ggml.merges'));
  const types = metadata.numbers('tokenizer.ggml.token_type') ?? [];
  const pre = preTokenizerFor(path, metadata.string('tokenizer.ggml.pre') ?? 'default');
  const special = specialTokens(path, metadata, tokens);
  const addBos = metadata.boolean('tokenizer.ggml.add_bos_token') ?? pre.addBos ?? false;
  const addEos = metadata.boolean('tokenizer.ggml.add_eos_token') ?? false;
  return {
    tokenizerJson: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: addedTokens(tokens, types),
      normalizer: pre.normalizer ? { type: pre.normalizer } : null,
      pre_tokenizer: preTokenizerJson(pre),
      post_processor: postProcessor(addBos ? special.bos : null, addEos ? special.eos : null),
      decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: {
        type: 'BPE',
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: null,
        end_of_word_suffix: null,
        fuse_unk: false,
        byte_fallback: false,
        ignore_merges: pre.ignoreMerges ?? false,
        vocab: vocabulary(tokens),
        merges,
      },
    },
    tokenizerConfig: {
      add_bos_token: addBos,
      add_eos_token: addEos,
      add_prefix_space: false,
      bos_token: special.bos?.content ?? null,
      clean_up_tokenization_spaces: false,
      eos_token: special.eos?.content ?? null,
      model_max_length: contextLength ?? null,
      pad_token: special.pad?.content ?? null,
      // For a model-specific class, transformers 5 would replace the pre-tokenizer by the class's own.
      tokenizer_class: 'PreTrainedTokenizerFast',
      unk_token: special.unk?.content ?? null,
    },
    chatTemplate: metadata.string('tokenizer.chat_template') ?? null,
  };
}

interface SpecialToken {
  id: number;
  content: string;
}

function specialTokens(path: string, metadata: GgufMetadata, tokens: string[]) {
  const read = (key: string): SpecialToken | null => {
    const id = metadata.count(`tokenizer.ggml.${key}`);
    if (id === undefined) return null;
    const content = tokens[id];
    if (content !== undefined) return { id, content };
    throw new GraftError(
      'invalid_gguf',
      `${path}: "tokenizer.ggml.${key}" is ${id}, but there are ${tokens.length} tokens`,
    );
  };
  return {
    bos: read('bos_token_id'),
    eos: read('eos_token_id'),
    unk: read('unknown_token_id'),
    pad: read('padding_token_id'),
  };
}

function addedTokens(tokens: string[], types: number[]) {
  return types.flatMap((type, id) => {
    const content = tokens[id];
    if ((type !== CONTROL && type !== USER_DEFINED) || content === undefined) return [];
    const special = type === CONTROL;
    return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special }];
  });
}

/** Token → id. Without a prototype, so that `__proto__` is a normal token. */
function vocabulary(tokens: string[]): Record<string, number> {
  const ids: Record<string, number> = Object.create(null);
  tokens.forEach((token, id) => {
    ids[token] ??= id;
  });
  return ids;
}

/** Adds bos before and eos after a text; null omits one. */
function postProcessor(bos: SpecialToken | null, eos: SpecialToken | null): object | null {
  if (!bos && !eos) return null;
  const around = (id: 'A' | 'B', typeId: number) => [
    ...(bos ? [{ SpecialToken: { id: bos.content, type_id: typeId } }] : []),
    { Sequence: { id, type_id: typeId } },
    ...(eos ? [{ SpecialToken: { id: eos.content, type_id: typeId } }] : []),
  ];
  const used = [bos, eos].filter((token) => token !== null);
  return {
    type: 'TemplateProcessing',
    single: around('A', 0),
    pair: [...around('A', 0), ...around('B', 1)],
    special_tokens: Object.fromEntries(
      used.map(({ id, content }) => [content, { id: content, ids: [id], tokens: [content] }]),
    ),
  };
}
