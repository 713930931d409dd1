import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { familyOf } from '../outlines/families.ts';
import { UNTIED_WEIGHTS } from '../outlines/family.ts';
import { safetensorsTypes } from '../safetensors/safetensors-header.ts';
import { type TensorToWrite, type WrittenFile, writeSafetensors } from '../safetensors/write-safetensors.ts';
import { jsonText, writeSmallFile } from '../small-file.ts';
import { checkpointName } from '../tensors/renamed-tensors.ts';
import { elementCount, readPieces, valuesPerChunk } from '../tensors/tensor-source.ts';
import type { TokenizerFiles } from '../text/index.ts';
import type { BaseModel } from './base-model.ts';
import { keepFloats } from './json-file.ts';
import {
  configTypes,
  type FloatType,
  floatType,
  isWeightType,
  packFloats,
  type WeightType,
} from './weight-types.ts';

export interface ModelTensor {
  name: string;
  shape: readonly number[];
  /** The type of the values in the base model, for weights that keep it; absent: the tensor is new. */
  stored?: string;
  data: Float32Array | (() => Promise<Float32Array>);
}

export interface ModelFolder {
  /** The source of config, tokenizer and every tensor that is not in `tensors`. */
  base: BaseModel;
  tensors: readonly ModelTensor[];
  /** Tensors of the base that `tensors` holds under other names. */
  replaced?: readonly string[];
  /** Default: the base model's. */
  tokenizerFiles?: TokenizerFiles;
  /** Fields of config.json that differ from the base model's. */
  config?: Record<string, unknown>;
  /** generation_config.json, default the base model's. */
  generationConfig?: Record<string, unknown> | null;
  /** Type of the written weights, default float32. */
  dtype?: WeightType;
  /** Maximum size of a shard in bytes, default 5 GB, as in transformers. */
  shardBytes?: number;
  /** Called with the number of bytes after each piece of a tensor; an error of this function ends the writing. */
  onBytes?(bytes: number): void;
}

/** A tensor with the type that it is written in. Those copied from the base model are read in pieces. */
interface PlannedTensor extends Omit<ModelTensor, 'data' | 'stored'> {
  type: FloatType;
  data: ModelTensor['data'] | null;
}

/**
 * Writes a model as a plain Hugging Face folder: safetensors, tokenizer and, last, config.json, without which no loader takes the folder for a
 * model. Of the given tensors one at a time is in memory; those of the base are copied in pieces of a few megabytes. Returns the files, with
 * paths relative to `folder`.
 */
export async function writeModelFolder(folder: string, model: ModelFolder): Promise<WrittenFile[]> {
  await mkdir(folder, { recursive: true });
  const tensors = plannedTensors(model);
  return [
    ...(await writeWeights(folder, model, tensors)),
    ...(await writeSmallFiles(folder, model, tensors)),
  ];
}

async function writeWeights(
  folder: string,
  { base, shardBytes = 5e9, onBytes }: ModelFolder,
  tensors: PlannedTensor[],
): Promise<WrittenFile[]> {
  const { formerTensors = {} } = familyOf(base.modelType);
  const shards = planShards(tensors, shardBytes);
  const only = shards.length === 1;
  const weightMap: Record<string, string> = {};
  const files: WrittenFile[] = [];
  for (const [i, shard] of shards.entries()) {
    const name = only ? 'model.safetensors' : shardName(i, shards.length);
    const written = await writeSafetensors(
      path.join(folder, name),
      shard.map((tensor) => ({ ...toWrite(base, tensor), name: checkpointName(tensor.name, formerTensors) })),
      { onBytes },
    );
    files.push({ ...written, path: name });
    for (const tensor of shard) weightMap[checkpointName(tensor.name, formerTensors)] = name;
  }
  if (!only) {
    const totalBytes = tensors.reduce((sum, tensor) => sum + byteLength(tensor), 0);
    const index = { metadata: { total_size: totalBytes }, weight_map: weightMap };
    files.push(await writeSmallFile(folder, 'model.safetensors.index.json', jsonText(index)));
  }
  return files;
}

async function writeSmallFiles(
  folder: string,
  { base, config, ...files }: ModelFolder,
  tensors: PlannedTensor[],
): Promise<WrittenFile[]> {
  const { generationConfig = base.generationConfig } = files;
  // transformers ignores lm_head.weight if the config declares the head as tied.
  const untied = files.tensors.some(({ name }) => name === 'lm_head.weight');
  // Floats with integer values in the base's file keep their `.0`.
  const writeLikeBase = async (name: string, value: unknown) => {
    const file = base.format === 'hf' ? path.join(base.path, name) : null;
    const original = file ? await readFile(file, 'utf8').catch(() => '') : floatsOfGguf(value);
    return await writeSmallFile(folder, name, keepFloats(jsonText(value), original));
  };
  const fields: Record<string, unknown> = {
    ...base.config,
    ...(untied ? untiedFields(base.config) : {}),
    ...config,
    dtype: configTypes[usualType(tensors)],
  };
  delete fields.torch_dtype;
  delete fields[UNTIED_WEIGHTS];
  const { tokenizerJson, tokenizerConfig, chatTemplate } = files.tokenizerFiles ?? base.tokenizerFiles;
  const written = [await writeSmallFile(folder, 'tokenizer.json', jsonText(tokenizerJson))];
  if (tokenizerConfig)
    written.push(await writeSmallFile(folder, 'tokenizer_config.json', jsonText(tokenizerConfig)));
  if (chatTemplate !== null) written.push(await writeSmallFile(folder, 'chat_template.jinja', chatTemplate));
  if (generationConfig) written.push(await writeLikeBase('generation_config.json', generationConfig));
  written.push(await writeLikeBase('config.json', fields));
  return written;
}

/** The fields of a config read from a GGUF file, which holds no JSON, in which transformers takes no integer. */
function floatsOfGguf(fields: unknown): string {
  const cap = (fields as Record<string, unknown>).final_logit_softcapping;
  return Number.isInteger(cap) ? `{"final_logit_softcapping": ${cap}.0}` : '';
}

/** Fields of config.json that declare the head as not tied. */
export function untiedFields(base: Record<string, unknown>): Record<string, unknown> {
  return { tie_word_embeddings: false, ...familyOf(String(base.model_type)).untiedFields?.(base) };
}

function plannedTensors({ base, tensors, replaced = [], dtype = 'float32' }: ModelFolder): PlannedTensor[] {
  const given = new Set([...tensors.map(({ name }) => name), ...replaced]);
  const planned: PlannedTensor[] = tensors.map(({ name, shape, stored = null, data }) => ({
    name,
    shape,
    type: floatType(dtype, stored),
    data,
  }));
  for (const name of base.tensors.names()) {
    const { dtype: stored, shape } = base.tensors.info(name);
    if (given.has(name) || !isWeightType(stored)) continue;
    planned.push({ name, shape, type: floatType(dtype, stored), data: null });
  }
  return planned.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function planShards(tensors: PlannedTensor[], limit: number): PlannedTensor[][] {
  const shards: PlannedTensor[][] = [[]];
  let filled = 0;
  for (const tensor of tensors) {
    const bytes = byteLength(tensor);
    if (filled > 0 && filled + bytes > limit) {
      shards.push([]);
      filled = 0;
    }
    shards.at(-1)!.push(tensor);
    filled += bytes;
  }
  return shards;
}

function shardName(index: number, count: number): string {
  const number = (n: number) => String(n).padStart(5, '0');
  return `model-${number(index + 1)}-of-${number(count)}.safetensors`;
}

/** The type of most values. */
function usualType(tensors: PlannedTensor[]): FloatType {
  const counts = new Map<FloatType, number>();
  for (const { type, shape } of tensors) counts.set(type, (counts.get(type) ?? 0) + elementCount(shape));
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0] ?? 'F32';
}

const byteLength = ({ shape, type }: PlannedTensor): number => elementCount(shape) * safetensorsTypes[type];

function toWrite({ tensors }: BaseModel, { name, shape, type, data }: PlannedTensor): TensorToWrite {
  return {
    name,
    shape,
    dtype: type,
    async data(append) {
      const take = (piece: Float32Array) => append(packFloats(type, piece, name));
      if (data === null) await readPieces(tensors, name, take);
      else {
        const values = typeof data === 'function' ? await data() : data;
        // Converted in pieces, so that a large tensor is never in memory in two types.
        for (let at = 0; at < values.length; at += valuesPerChunk)
          await take(values.subarray(at, at + valuesPerChunk));
      }
      return undefined;
    },
  };
}
