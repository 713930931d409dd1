import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { GraftError } from '../errors.ts';
import type { ModelOutline } from '../outlines/outline.ts';
import type { WrittenFile } from '../safetensors/write-safetensors.ts';
import { jsonText, writeSmallFile } from '../small-file.ts';
import { copyCompanions, sentenceNames } from './companion-files.ts';
import { readJson, readJsonFile } from './json-file.ts';
import { type SentencePrompts, sentencePromptsName, sentencePromptsText } from './sentence-prompts.ts';

export interface SentencePooling {
  pooling: 'first' | 'last' | 'mean';
  /** The vector is divided by its length. */
  normalise: boolean;
  /** The tokens of a prompt count, too. */
  includePrompt: boolean;
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
  return {
    pooling: mode,
    normalise: modules.some(({ kind }) => kind === 'Normalize'),
    includePrompt: config?.include_prompt !== false,
  };
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
  return own ?? { pooling: model.pooling, normalise: false, includePrompt: true };
}

/**
 * Writes the files by which sentence-transformers embeds texts as Graft does: modules.json, the config files that it refers to, maximum
 * length and prompts. They are the base model's, but for the prompts of an adapter; a base model without a modules.json gets one with the
 * pooling of its architecture. Returns the files, with paths relative to `to`.
 */
export async function writeSentenceFiles(
  to: string,
  from: string,
  model: Pick<ModelOutline, 'pooling' | 'hiddenSize'>,
  prompts: SentencePrompts | null,
): Promise<WrittenFile[]> {
  const written = await copyCompanions(from, to, sentenceNames);
  if (prompts) {
    const others = await readJsonFile(path.join(from, sentencePromptsName), 'invalid_model');
    const kept = written.filter((file) => file.path !== sentencePromptsName);
    const text = sentencePromptsText(prompts, others ?? {});
    written.splice(0, written.length, ...kept, await writeSmallFile(to, sentencePromptsName, text));
  }
  const write = async (name: string, text: string) => {
    await mkdir(path.join(to, path.dirname(name)), { recursive: true });
    written.push(await writeSmallFile(to, name, text));
  };
  const list = await readJson(path.join(from, 'modules.json'), 'invalid_model');
  if (!Array.isArray(list)) {
    await write('modules.json', jsonText(plainModules));
    await write('1_Pooling/config.json', jsonText(plainPooling(model)));
    return written;
  }
  await write('modules.json', await readFile(path.join(from, 'modules.json'), 'utf8'));
  for (const { path: folder } of list) {
    const config = path.join(String(folder), 'config.json');
    if (plainName.test(String(folder)) && existsSync(path.join(from, config)))
      await write(config, await readFile(path.join(from, config), 'utf8'));
  }
  return written;
}

/** With the names until sentence-transformers 5, which later versions read, too. */
const plainModules = [
  { idx: 0, name: '0', path: '', type: 'sentence_transformers.models.Transformer' },
  { idx: 1, name: '1', path: '1_Pooling', type: 'sentence_transformers.models.Pooling' },
];

const plainPooling = ({ pooling, hiddenSize }: Pick<ModelOutline, 'pooling' | 'hiddenSize'>) => ({
  word_embedding_dimension: hiddenSize,
  ...Object.fromEntries(
    Object.entries(formerFields).map(([field, mode]) => [field, modes[mode] === pooling]),
  ),
  include_prompt: true,
});

function unsupported(what: string): GraftError {
  return new GraftError(
    'unsupported_model',
    `${what}; sentence embeddings are pooled from the first or the last token or the mean, and may be normalised`,
    { param: 'model' },
  );
}
