import { GraftError } from '../errors.ts';
import { families } from '../outlines/families.ts';
import type { TokenizerFiles } from '../text/tokenizer.ts';
import type { GgufMetadata } from './metadata.ts';
import { preTokenizerFor, preTokenizerJson } from './pre-tokenizers.ts';
import { sentencePiece, type VocabularyParts } from './sentencepiece.ts';
import { CONTROL, idsOf, type SpecialTokens, specialTokens, USER_DEFINED } from './token-types.ts';

const byteLevelModels = families.flatMap(({ gguf }) => gguf?.byteLevelTokenizer ?? []);

const sentencePieceModels = [
  ...new Set(
    families.flatMap(({ gguf }) => gguf?.sentencePieceTokenizer ?? gguf?.markedTokenizer?.model ?? []),
  ),
];

/** Builds the files of a Hugging Face tokenizer from GGUF metadata. Throws GraftError `unsupported_tokenizer` or `invalid_gguf`. */
export function ggufTokenizer(
  path: string,
  metadata: GgufMetadata,
  contextLength: number | undefined,
): TokenizerFiles {
  const names = metadata.required('tokenizer.ggml.tokens', metadata.strings('tokenizer.ggml.tokens'));
  const types = metadata.numbers('tokenizer.ggml.token_type') ?? [];
  const special = specialTokens(path, metadata, names);
  const parts = vocabularyParts(path, metadata, { names, types, special });
  const addBos = metadata.boolean('tokenizer.ggml.add_bos_token') ?? parts.addsBos;
  const addEos = metadata.boolean('tokenizer.ggml.add_eos_token') ?? false;
  return {
    tokenizerJson: {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: addedTokens(parts.tokens, types),
      normalizer: parts.normalizer,
      pre_tokenizer: parts.preTokenizer,
      post_processor: postProcessor(addBos ? special.bos : null, addEos ? special.eos : null),
      decoder: parts.decoder,
      model: parts.model,
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

interface Tokens {
  names: string[];
  types: number[];
  special: SpecialTokens;
}

function vocabularyParts(
  path: string,
  metadata: GgufMetadata,
  { names, types, special }: Tokens,
): VocabularyParts {
  const kind = metadata.required('tokenizer.ggml.model', metadata.string('tokenizer.ggml.model'));
  if (byteLevelModels.includes(kind)) return byteLevel(path, metadata, names);
  if (sentencePieceModels.includes(kind)) return sentencePiece(path, metadata, names, types, special);
  throw new GraftError(
    'unsupported_tokenizer',
    `${path}: tokenizer model "${kind}" is not supported; supported: ` +
      `${byteLevelModels.join(', ')} (byte-level BPE), ${sentencePieceModels.join(', ')} (SentencePiece)`,
    { param: 'model' },
  );
}

function byteLevel(path: string, metadata: GgufMetadata, tokens: readonly string[]): VocabularyParts {
  const merges = metadata.required('tokenizer.ggml.merges', metadata.strings('tokenizer.ggml.merges'));
  const pre = preTokenizerFor(path, metadata.string('tokenizer.ggml.pre') ?? 'default');
  return {
    tokens,
    normalizer: pre.normalizer ? { type: pre.normalizer } : null,
    preTokenizer: preTokenizerJson(pre),
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
      vocab: idsOf(tokens),
      merges,
    },
    addsBos: pre.addBos ?? false,
  };
}

/** Control and user-defined tokens are never split into pieces. */
function addedTokens(tokens: readonly string[], types: readonly number[]) {
  return types.flatMap((type, id) => {
    const content = tokens[id];
    if ((type !== CONTROL && type !== USER_DEFINED) || content === undefined) return [];
    const special = type === CONTROL;
    return [{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special }];
  });
}

/** Adds bos before and eos after a text; null omits one. */
function postProcessor(bos: SpecialTokens['bos'], eos: SpecialTokens['eos']): object | null {
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
