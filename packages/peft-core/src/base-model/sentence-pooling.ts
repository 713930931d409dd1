import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { GraftError } from '../errors.ts';
import type { ModelOutline } from '../outlines/outline.ts';
import type { WrittenFile } from '../safetensors/write-safetensors.ts';
import { writeSmallFile } from '../small-file.ts';
import { copyCompanions, sentenceNames } from './companion-files.ts';
import { readJson, readJsonFile } from './json-file.ts';

/** How sentence-transformers pools a sequence into one vector. */
export interface SentencePooling {
  pooling: 'first' | 'last' | 'mean';
  /** The vector is divided by its length. */
  normalise: boolean;
}

/** `pooling_mode` of 1_Pooling/config.json. Source: sentence-transformers, sentence_transformer/modules/pooling.py. */
const modes: Record<string, SentencePooling['pooling']> = { cls: 'first', lasttoken: 'last', mean: 'mean' };
/** Until sentence-transformers 5 there was a field for each mode. */
const formerFields: Record<string, string> = {
  pooling_mode_cls_token: 'cls',
  pooling_mode_lasttoken: 'lasttoken',
  pooling_mode_mean_tokens: 'mean',
};

/** A model's file must not refer to files outside its folder. */
const plainName = /^\w[\w.-]*$/;

/**
 * Reads modules.json of a sentence-transformers model; null if it does not exist. Throws `invalid_model`, and
 * `unsupported_model` for modules that Graft does not support, such as a dense layer.
 */
export async function readSentencePooling(folder: string): Promise<SentencePooling | null> {
  const list = await readJson(path.join(folder, 'modules.json'), 'invalid_model');
  if (list === null) return null;
  if (!Array.isArray(list)) throw unsupported('modules.json is not a list');
  const modules = list.map((each) => ({
    kind: String(each?.type).split('.').at(-1),
    path: String(each?.path),
  }));
  const strange = modules.find(({ kind }) => !['Transformer', 'Pooling', 'Normalize'].includes(kind!));
  if (strange) throw unsupported(`modules.json has a ${strange.kind}`);
  const pooling = modules.find(({ kind }) => kind === 'Pooling');
  if (!pooling || !plainName.test(pooling.path))
    throw unsupported('modules.json names no folder of a Pooling');
  const config = await readJsonFile(path.join(folder, pooling.path, 'config.json'), 'invalid_model');
  const chosen = chosenModes(config ?? {});
  const mode = chosen.length === 1 ? modes[chosen[0]!] : undefined;
  if (!mode)
    throw unsupported(`${pooling.path}/config.json has pooling_mode ${chosen.join(', ').slice(0, 200)}`);
  return { pooling: mode, normalise: modules.some(({ kind }) => kind === 'Normalize') };
}

/** Several modes are concatenated; without any the mode is the mean. */
function chosenModes({ pooling_mode: given, ...others }: Record<string, unknown>): string[] {
  if (given !== undefined) return [given].flat().map(String);
  const former = Object.entries(others)
    .filter(([field, value]) => field.startsWith('pooling_mode_') && value === true)
    .map(([field]) => formerFields[field] ?? field);
  return former.length > 0 ? former : ['mean'];
}

/** How `model` pools a sequence into one vector: by its sentence-transformers files, or by the default of its architecture. */
export async function sequencePooling(
  folder: string,
  model: Pick<ModelOutline, 'task' | 'pooling'>,
): Promise<SentencePooling> {
  const own = model.task === 'FEATURE_EXTRACTION' ? await readSentencePooling(folder) : null;
  return own ?? { pooling: model.pooling, normalise: false };
}

/** Copies modules.json, the config files that it refers to, prompts and maximum length, if the model has them. Returns the copies, with paths relative to `to`. */
export async function copySentencePooling(from: string, to: string): Promise<WrittenFile[]> {
  const list = await readJson(path.join(from, 'modules.json'), 'invalid_model');
  if (!Array.isArray(list)) return [];
  const copy = async (name: string) => {
    await mkdir(path.join(to, path.dirname(name)), { recursive: true });
    return await writeSmallFile(to, name, await readFile(path.join(from, name), 'utf8'));
  };
  const copied = [await copy('modules.json')];
  for (const { path: folder } of list) {
    const config = path.join(String(folder), 'config.json');
    if (plainName.test(String(folder)) && existsSync(path.join(from, config)))
      copied.push(await copy(config));
  }
  return [...copied, ...(await copyCompanions(from, to, sentenceNames))];
}

function unsupported(what: string): GraftError {
  return new GraftError(
    'unsupported_model',
    `${what}; sentence embeddings are pooled from the first or the last token or the mean, and may be normalised`,
    { param: 'model' },
  );
}
