import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { GraftError } from '../errors.ts';
import { familyOfFile, ggufConfig } from '../gguf/config.ts';
import { type GgufFile, openGguf } from '../gguf/gguf.ts';
import { type RopeFactors, ropeFactorNames } from '../gguf/rope-fields.ts';
import { GgufTensors, readGgufTensor } from '../gguf/tensors.ts';
import { ggufTokenizer } from '../gguf/tokenizer.ts';
import { families } from '../outlines/families.ts';
import { UNTIED_WEIGHTS } from '../outlines/family.ts';
import { withTodaysNames } from '../tensors/renamed-tensors.ts';
import { stackedTensors } from '../tensors/stacked-tensors.ts';
import type { TensorSource } from '../tensors/tensor-source.ts';
import { holdsMxfp4, turnedExperts } from '../tensors/turned-experts.ts';
import type { BaseModel, OpenedModel } from './base-model.ts';
import { checkModel } from './check-model.ts';
import { checkSmallFiles } from './check-small-files.ts';
import { openHfModel } from './hf-folder.ts';
import { modelDigest } from './model-digest.ts';

/**
 * Opens a Hugging Face folder, a .gguf file, or a folder with one .gguf file, and checks its small files as untrusted input.
 * `digestCache` is a folder that stores digests of weights for other processes. `onFile` is called with each file before it is read. The
 * caller closes the model.
 *
 * Throws GraftError: `file_not_found`, `invalid_model` (names the missing or broken file or tensor), `unsupported_model`,
 * `unsupported_dtype`, `unsupported_tokenizer`, `invalid_safetensors`, `invalid_gguf`.
 */
export async function openBaseModel(
  location: string,
  options: { digestCache?: string | null; onFile?: (file: string) => void } = {},
): Promise<BaseModel> {
  const onFile = options.onFile ?? (() => {});
  const model = await openModelFiles(path.resolve(location), onFile);
  try {
    checkSmallFiles(model, onFile);
    const config = withoutPacking(withUntiedWeights(model.config, model.tensors.names()), model);
    const tensors = withStackedExperts(model);
    const modelType = checkModel({ ...model, config, tensors });
    return {
      format: model.format,
      path: model.path,
      modelType,
      config,
      generationConfig: model.generationConfig,
      tokenizerFiles: model.tokenizerFiles,
      tensors,
      weightFiles: model.weightFiles,
      digest: () => modelDigest(model.weightFiles, options.digestCache ?? null),
      close: () => model.close(),
    };
  } catch (error) {
    await model.close();
    throw error;
  }
}

/** config.json, plus, for families that tie weights by class, the weights that the checkpoint stores separately. */
export function withUntiedWeights(
  config: Record<string, unknown>,
  tensors: readonly string[],
): Record<string, unknown> {
  const tied = families.find(({ modelType }) => modelType === config.model_type)?.tiedByClass;
  if (!tied) return config;
  const present = new Set(tensors);
  return {
    ...config,
    [UNTIED_WEIGHTS]: tied.map((module) => `${module}.weight`).filter((name) => present.has(name)),
  };
}

/** config.json without `quantization_config`, where the checkpoint's packed weights are read as plain ones. */
function withoutPacking(config: Record<string, unknown>, { tensors }: OpenedModel): Record<string, unknown> {
  const { quantization_config: packing, ...plain } = config;
  const ends = families.find(({ modelType }) => modelType === config.model_type)?.turnedExperts;
  return packing !== undefined && ends && holdsMxfp4(tensors.names(), ends) ? plain : config;
}

/**
 * The model's tensors under the names of its weights, with one for each weight of experts of which the checkpoint has several, and
 * experts' matrices as `(E, out, in)`.
 */
export function withStackedExperts({ format, config, tensors }: OpenedModel): TensorSource {
  const family = families.find(({ modelType }) => modelType === config.model_type);
  if (format === 'hf' && family?.turnedExperts) return turnedExperts(tensors, family.turnedExperts);
  if (format === 'hf' && family?.formerTensors) return withTodaysNames(tensors, family.formerTensors);
  const { expertTensors: names } = (format === 'gguf' ? family?.gguf : family) ?? {};
  const alternating = format === 'gguf' && family?.gguf?.alternatingExperts;
  return names ? stackedTensors(tensors, names, { alternating: alternating ?? false }) : tensors;
}

/** Opens the files of a model without checking that it is supported. The caller closes it. */
export async function openModelFiles(
  location: string,
  onFile: (file: string) => void = () => {},
): Promise<OpenedModel> {
  const stats = await stat(location).catch((cause) => {
    throw new GraftError('file_not_found', `no model at ${location}`, { param: 'model', cause });
  });
  if (stats.isFile()) {
    if (location.endsWith('.gguf')) return openGgufModel(location, onFile);
    throw new GraftError('invalid_model', `${location} is neither a folder nor a .gguf file`, {
      param: 'model',
    });
  }
  const names = await readdir(location);
  const ggufs = names.filter((name) => name.endsWith('.gguf')).sort();
  const hasWeights = names.some((name) => name.endsWith('.safetensors'));
  // Repositories of GGUF files often also have a config.json.
  if (names.includes('config.json') && (hasWeights || ggufs.length === 0))
    return openHfModel(location, names, onFile);
  if (ggufs.length === 1) return openGgufModel(path.join(location, ggufs[0]!), onFile);
  throw new GraftError(
    'invalid_model',
    ggufs.length === 0
      ? `${location} has neither config.json nor a .gguf file`
      : `${location} has several .gguf files; name one: ${ggufs.join(', ')}`,
    { param: 'model' },
  );
}

/** One factor for each pair of values of a head; a head has at most 16,384 values. */
const maxFactors = 8_192;

/** The id that ends answers, and that of the end of a turn, if a file has another one for that. */
function endsOf({ metadata }: GgufFile, eos: unknown): unknown {
  const turnEnd = metadata.count('tokenizer.ggml.eot_token_id');
  return typeof eos !== 'number' || turnEnd === undefined || turnEnd === eos ? eos : [eos, turnEnd];
}

async function ropeFactors(gguf: GgufFile): Promise<RopeFactors> {
  const { all, short, long } = ropeFactorNames;
  return {
    all: await readGgufTensor(gguf, all, maxFactors),
    short: await readGgufTensor(gguf, short, maxFactors),
    long: await readGgufTensor(gguf, long, maxFactors),
  };
}

async function openGgufModel(path: string, onFile: (file: string) => void): Promise<OpenedModel> {
  onFile(path);
  const gguf = await openGguf(path);
  try {
    const family = familyOfFile(gguf);
    const config = ggufConfig(gguf, await ropeFactors(gguf));
    const { bos_token_id, eos_token_id, pad_token_id } = config;
    return {
      format: 'gguf',
      path,
      config,
      generationConfig: { bos_token_id, eos_token_id: endsOf(gguf, eos_token_id), pad_token_id },
      tokenizerFiles: ggufTokenizer(
        path,
        gguf.metadata,
        gguf.metadata.count(`${family.gguf.architecture}.context_length`),
      ),
      tensors: new GgufTensors(gguf, family),
      weightFiles: [path],
      close: () => gguf.close(),
    };
  } catch (error) {
    await gguf.close();
    throw error;
  }
}
