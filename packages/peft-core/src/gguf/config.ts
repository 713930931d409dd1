import { GraftError } from '../errors.ts';
import { families, modelTypes } from '../outlines/families.ts';
import type { Family } from '../outlines/family.ts';
import type { GgufFamily, GgufHeader } from '../outlines/gguf/gguf-family.ts';
import { modelClass } from '../outlines/model-class.ts';
import { nearest } from '../schema/nearest.ts';
import type { GgufFile } from './gguf.ts';
import { noRopeFactors, type RopeFactors, ropeFields, shortestDecimal } from './rope-fields.ts';

/**
 * Builds the fields of Hugging Face's config.json from GGUF metadata and the tensors of rope factors.
 * Throws GraftError `unsupported_model` or `invalid_gguf`, which names the key.
 */
export function ggufConfig(gguf: GgufFile, ropeFactors: RopeFactors): Record<string, unknown> {
  const { metadata, tensors, file } = gguf;
  const { modelType, gguf: family } = familyOfFile(gguf);
  const header = headerOf(gguf, family.architecture, ropeFactors);
  if (header.count('expert_count') && !family.expertTensors) {
    throw new GraftError('unsupported_model', `${file.path}: mixtures of experts are not supported`, {
      param: 'model',
    });
  }
  return {
    architectures: [modelClass(modelType, 'CAUSAL_LM')],
    bos_token_id: metadata.count('tokenizer.ggml.bos_token_id') ?? null,
    dtype: 'float32',
    eos_token_id: metadata.count('tokenizer.ggml.eos_token_id') ?? null,
    model_type: modelType,
    pad_token_id: metadata.count('tokenizer.ggml.padding_token_id') ?? null,
    // A file without an output matrix uses the token embeddings as one.
    tie_word_embeddings: !tensors.has('output.weight'),
    vocab_size: vocabularySize(gguf, header.count('vocab_size')),
    ...family.config(header),
  };
}

/** Throws `invalid_gguf` for a file that names no architecture, `unsupported_model` for one that Graft does not support. */
export function familyOfFile(gguf: GgufFile): Family & { gguf: GgufFamily } {
  const { metadata, file } = gguf;
  const name = metadata.required('general.architecture', metadata.string('general.architecture'));
  const known = families.flatMap((family) => (family.gguf ? [{ ...family, gguf: family.gguf }] : []));
  const header = headerOf(gguf, name, noRopeFactors);
  const same = known.filter((family) => family.gguf.architecture === name);
  const found = same.find((family) => family.gguf.isOwn?.(header)) ?? same.find(({ gguf }) => !gguf.isOwn);
  if (found) return found;
  const architectures = [...new Set(known.map(({ gguf }) => gguf.architecture))];
  const [close] = nearest(name, architectures);
  const folder = modelTypes.includes(name)
    ? "; use this model's Hugging Face folder (config.json, safetensors, tokenizer.json) instead"
    : '';
  throw new GraftError(
    'unsupported_model',
    `${file.path}: GGUF architecture "${name}" is not supported; supported: ${architectures.join(', ')}${close ? `, of which ${close} is the nearest by name` : ''}${folder}`,
    { param: 'model' },
  );
}

function headerOf(
  { metadata, tensors, file }: GgufFile,
  architecture: string,
  ropeFactors: RopeFactors,
): GgufHeader {
  const full = (key: string) => `${architecture}.${key}`;
  return {
    count: (key) => metadata.count(full(key)),
    size: (key) => metadata.required(full(key), metadata.count(full(key))),
    decimal: (key) => shortestDecimal(metadata.required(full(key), metadata.number(full(key)))),
    optionalDecimal(key) {
      const value = metadata.number(full(key));
      return value === undefined ? undefined : shortestDecimal(value);
    },
    counts: (key) => metadata.counts(full(key)),
    flags: (key) => metadata.booleans(full(key)),
    hasTensor: (name) => tensors.has(name),
    rows: (name) => tensors.get(name)?.shape[0],
    frequencyFactors: ropeFactors.all,
    rope(headSize) {
      const fields = ropeFields(file.path, metadata, architecture, ropeFactors, headSize);
      return { ...fields, rope_theta: shortestDecimal(fields.rope_theta) };
    },
  };
}

/** The number of rows of the embedding takes precedence, because tokenizers may have more or fewer tokens. */
function vocabularySize({ tensors, metadata }: GgufFile, stated: number | undefined): number | undefined {
  return (
    tensors.get('token_embd.weight')?.shape[0] ?? stated ?? metadata.strings('tokenizer.ggml.tokens')?.length
  );
}
