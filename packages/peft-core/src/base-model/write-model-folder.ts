import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { toBfloat16 } from '@graft/tf-graph/bfloat16';
import { familyOf } from '../outlines/families.ts';
import { UNTIED_WEIGHTS } from '../outlines/family.ts';
import { safetensorsTypes } from '../safetensors/safetensors-header.ts';
import { type TensorToWrite, writeSafetensors } from '../safetensors/write-safetensors.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import type { TokenizerFiles } from '../text/index.ts';
import type { BaseModel } from './base-model.ts';
import { keepFloats } from './json-file.ts';

export interface ModelTensor {
  name: string;
  shape: readonly number[];
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
  /** Type of the stored weights, default float32. */
  dtype?: 'float32' | 'bfloat16';
  /** Maximum size of a shard in bytes, default 5 GB, as in transformers. */
  shardBytes?: number;
}

/** Writes a model as a plain Hugging Face folder: config, tokenizer, safetensors. At most one tensor is in memory at a time. */
export async function writeModelFolder(folder: string, model: ModelFolder): Promise<void> {
  await mkdir(folder, { recursive: true });
  const dtype = model.dtype ?? 'float32';
  await writeSmallFiles(folder, model, dtype);
  const shards = planShards(allTensors(model), dtype, model.shardBytes ?? 5e9);
  const only = shards.length === 1;
  const weightMap: Record<string, string> = {};
  let totalBytes = 0;
  for (const [i, shard] of shards.entries()) {
    const name = only ? 'model.safetensors' : shardName(i, shards.length);
    await writeSafetensors(
      path.join(folder, name),
      shard.map((tensor) => stored(tensor, dtype)),
    );
    for (const tensor of shard) {
      weightMap[tensor.name] = name;
      totalBytes += byteLength(tensor, dtype);
    }
  }
  if (!only) {
    await writeJson(folder, 'model.safetensors.index.json', {
      metadata: { total_size: totalBytes },
      weight_map: weightMap,
    });
  }
}

async function writeSmallFiles(
  folder: string,
  { base, config, tensors, ...files }: ModelFolder,
  dtype: string,
): Promise<void> {
  const { generationConfig = base.generationConfig } = files;
  // transformers ignores lm_head.weight if the config declares the head as tied.
  const untied = tensors.some(({ name }) => name === 'lm_head.weight');
  // Floats with integer values in the base's file keep their `.0`.
  const writeLikeBase = async (name: string, value: unknown) => {
    const file = base.format === 'hf' ? path.join(base.path, name) : null;
    const original = file ? await readFile(file, 'utf8').catch(() => '') : '';
    await writeFile(path.join(folder, name), keepFloats(`${JSON.stringify(value, null, 2)}\n`, original));
  };
  const fields: Record<string, unknown> = {
    ...base.config,
    ...(untied ? untiedFields(base.config) : {}),
    ...config,
    dtype,
  };
  delete fields.torch_dtype;
  delete fields[UNTIED_WEIGHTS];
  await writeLikeBase('config.json', fields);
  if (generationConfig) await writeLikeBase('generation_config.json', generationConfig);
  const { tokenizerJson, tokenizerConfig, chatTemplate } = files.tokenizerFiles ?? base.tokenizerFiles;
  await writeJson(folder, 'tokenizer.json', tokenizerJson);
  if (tokenizerConfig) await writeJson(folder, 'tokenizer_config.json', tokenizerConfig);
  if (chatTemplate !== null) await writeFile(path.join(folder, 'chat_template.jinja'), chatTemplate);
}

/** Fields of config.json that declare the head as not tied. */
export function untiedFields(base: Record<string, unknown>): Record<string, unknown> {
  return { tie_word_embeddings: false, ...familyOf(String(base.model_type)).untiedFields?.(base) };
}

function writeJson(folder: string, name: string, value: unknown): Promise<void> {
  return writeFile(path.join(folder, name), `${JSON.stringify(value, null, 2)}\n`);
}

function allTensors({ base, tensors, replaced = [] }: ModelFolder): ModelTensor[] {
  const given = new Set([...tensors.map(({ name }) => name), ...replaced]);
  // Integers are buffers that transformers computes itself: an encoder's position_ids.
  const isWeight = (name: string) => !/^(I|U)\d+$|^BOOL$/.test(base.tensors.info(name).dtype);
  const kept = base.tensors.names().filter((name) => !given.has(name) && isWeight(name));
  const copied = kept.map((name) => ({
    name,
    shape: base.tensors.info(name).shape,
    data: () => base.tensors.readFloat32(name),
  }));
  return [...tensors, ...copied].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function planShards(tensors: ModelTensor[], dtype: 'float32' | 'bfloat16', limit: number): ModelTensor[][] {
  const shards: ModelTensor[][] = [[]];
  let filled = 0;
  for (const tensor of tensors) {
    const bytes = byteLength(tensor, dtype);
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

function byteLength({ shape }: ModelTensor, dtype: 'float32' | 'bfloat16'): number {
  return elementCount(shape) * safetensorsTypes[dtype === 'float32' ? 'F32' : 'BF16'];
}

function stored({ name, shape, data }: ModelTensor, dtype: 'float32' | 'bfloat16'): TensorToWrite {
  const values = async () => (typeof data === 'function' ? data() : data);
  if (dtype === 'float32') return { name, shape, data: values };
  return {
    name,
    shape,
    dtype: 'BF16',
    data: async () => toBfloat16(await values()),
  };
}
