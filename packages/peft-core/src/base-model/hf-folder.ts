import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { GraftError } from '../errors.ts';
import { readSafetensors, type SafetensorsFile } from '../safetensors/safetensors.ts';
import { isRecord } from '../schema/check-fields.ts';
import { unpackedFloat8 } from '../tensors/float8.ts';
import { withTextPartNames } from '../tensors/renamed-tensors.ts';
import { type TakePiece, type TensorSource, tensorNotFound } from '../tensors/tensor-source.ts';
import type { TokenizerFiles } from '../text/tokenizer.ts';
import type { OpenedModel } from './base-model.ts';
import { readJsonFile } from './json-file.ts';
import { longestTemplate } from './tokenizer-check/check-tokenizer.ts';

/** Opens a folder written by `save_pretrained`: config.json, safetensors in one file or in shards, tokenizer.json. */
export async function openHfModel(
  folder: string,
  names: readonly string[],
  onFile: (file: string) => void,
): Promise<OpenedModel> {
  const json = (name: string) => {
    const file = path.join(folder, name);
    onFile(file);
    return readJsonFile(file, 'invalid_model');
  };
  const config = await json('config.json');
  if (!config) throw invalid(`${folder} has no config.json`);
  const tokenizerFiles = await readTokenizerFiles(folder, json);
  const generationConfig = await json('generation_config.json');
  const { files, source, weightFiles } = await openWeights(folder, names, json, onFile);
  const closeAll = async () => void (await Promise.all(files.map((file) => file.close())));
  let unpacked: TensorSource;
  try {
    unpacked = unpackedFloat8(source);
  } catch (error) {
    await closeAll();
    throw error;
  }
  const { quantization_config: _, ...plain } = config;
  return {
    format: 'hf',
    path: folder,
    config: unpacked === source ? config : plain,
    generationConfig,
    tokenizerFiles,
    tensors: withTextPartNames(unpacked),
    weightFiles,
    close: closeAll,
  };
}

type ReadJson = (name: string) => Promise<Record<string, unknown> | null>;

async function readTokenizerFiles(folder: string, json: ReadJson): Promise<TokenizerFiles> {
  const tokenizerJson = await json('tokenizer.json');
  if (!tokenizerJson) {
    throw invalid(
      `${folder} has no tokenizer.json; save it with a fast tokenizer (AutoTokenizer … save_pretrained)`,
    );
  }
  const tokenizerConfig = await json('tokenizer_config.json');
  const file = await readTemplate(path.join(folder, 'chat_template.jinja'));
  const sentences = await json('sentence_bert_config.json');
  return {
    tokenizerJson: sentences?.do_lower_case === true ? lowerCased(tokenizerJson) : tokenizerJson,
    tokenizerConfig,
    chatTemplate: file ?? templateIn(tokenizerConfig),
  };
}

/** As sentence-transformers does for `do_lower_case`, where the tokenizer does not do it itself. */
function lowerCased(tokenizer: Record<string, unknown>): Record<string, unknown> {
  const { normalizer = null } = tokenizer;
  const parts = [isRecord(normalizer) ? (normalizer.normalizers ?? normalizer) : []].flat();
  if (parts.some((each) => isRecord(each) && (each.type === 'Lowercase' || each.lowercase === true)))
    return tokenizer;
  return { ...tokenizer, normalizer: { type: 'Sequence', normalizers: [{ type: 'Lowercase' }, ...parts] } };
}

async function readTemplate(file: string): Promise<string | null> {
  const stats = await stat(file).catch(() => null);
  if (!stats?.isFile()) return null;
  if (stats.size <= longestTemplate) return await readFile(file, 'utf8');
  throw invalid(`${file} has ${stats.size} bytes; at most ${longestTemplate} are read`);
}

/** Before transformers 4.51 the template was a field of tokenizer_config.json: a string, or a list of named templates. */
function templateIn(config: Record<string, unknown> | null): string | null {
  const field = config?.chat_template;
  if (typeof field === 'string') return field;
  if (!Array.isArray(field)) return null;
  const named = field.find((entry) => entry?.name === 'default')?.template;
  return typeof named === 'string' ? named : null;
}

interface Weights {
  files: SafetensorsFile[];
  source: TensorSource;
  weightFiles: string[];
}

async function openWeights(
  folder: string,
  names: readonly string[],
  json: ReadJson,
  onFile: (file: string) => void,
): Promise<Weights> {
  const index = await json('model.safetensors.index.json');
  if (index) return openShards(folder, index, onFile);
  if (!names.includes('model.safetensors')) {
    const pickles = names.filter((name) => /\.(bin|pt|pth|ckpt)$/.test(name));
    const hint = pickles.length > 0 ? ` (${pickles.join(', ')}: pickle files are never read)` : '';
    throw invalid(`${folder} has no model.safetensors${hint}; save the model with safe_serialization`);
  }
  onFile(path.join(folder, 'model.safetensors'));
  const file = await readSafetensors(path.join(folder, 'model.safetensors'));
  return { files: [file], source: file, weightFiles: [file.path] };
}

/** Maximum number of shards, all of which are open together; the largest models have a few hundred. */
const maxShards = 1_000;

/** A plain file name: an index must not refer to files outside its folder. */
const plainName = /^[\w.-]+\.safetensors$/;

async function openShards(
  folder: string,
  index: Record<string, unknown>,
  onFile: (file: string) => void,
): Promise<Weights> {
  const map = index.weight_map;
  const where = path.join(folder, 'model.safetensors.index.json');
  if (typeof map !== 'object' || map === null) throw invalid(`${where} has no weight_map`);
  const entries = Object.entries(map as Record<string, unknown>);
  for (const [name, shard] of entries) {
    if (typeof shard !== 'string' || !plainName.test(shard)) {
      throw invalid(`${where} puts "${name}" into ${JSON.stringify(shard)}, which is no shard's name`);
    }
  }
  const shardNames = [...new Set(entries.map(([, shard]) => shard as string))].sort();
  if (shardNames.length > maxShards)
    throw invalid(`${where} names ${shardNames.length} shards; at most ${maxShards} are read`);
  const files: SafetensorsFile[] = [];
  try {
    for (const name of shardNames) {
      onFile(path.join(folder, name));
      files.push(await readSafetensors(path.join(folder, name)));
    }
    const byShard = new Map(files.map((file, i) => [shardNames[i]!, file]));
    const byTensor = new Map(entries.map(([name, shard]) => [name, byShard.get(shard as string)!]));
    for (const [name, file] of byTensor) {
      if (!file.has(name)) throw invalid(`${file.path} lacks the tensor "${name}" that the index puts there`);
    }
    return {
      files,
      source: new ShardedTensors(folder, byTensor),
      weightFiles: files.map((file) => file.path),
    };
  } catch (error) {
    await Promise.all(files.map((file) => file.close()));
    throw error;
  }
}

class ShardedTensors implements TensorSource {
  readonly #folder: string;
  readonly #byTensor: ReadonlyMap<string, SafetensorsFile>;

  constructor(folder: string, byTensor: ReadonlyMap<string, SafetensorsFile>) {
    this.#folder = folder;
    this.#byTensor = byTensor;
  }

  #shard(name: string): SafetensorsFile {
    const shard = this.#byTensor.get(name);
    if (!shard) throw tensorNotFound(this.#folder, name);
    return shard;
  }

  names = () => [...this.#byTensor.keys()];
  has = (name: string) => this.#byTensor.has(name);
  info = (name: string) => this.#shard(name).info(name);
  readFloat32 = async (name: string, out?: Float32Array) => this.#shard(name).readFloat32(name, out);
  readPieces = async (name: string, take: TakePiece) => this.#shard(name).readPieces(name, take);
  readBytes = async (name: string, start: number, out: Uint8Array) =>
    this.#shard(name).readBytes(name, start, out);
  readBfloat16 = async (name: string, out?: Uint16Array) => this.#shard(name).readBfloat16(name, out);
}

function invalid(message: string): GraftError {
  return new GraftError('invalid_model', message, { param: 'model' });
}
