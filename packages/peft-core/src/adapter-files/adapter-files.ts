import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { readJson, readJsonFile } from '../base-model/json-file.ts';
import {
  readSentencePrompts,
  sentencePromptsName,
  sentencePromptsText,
} from '../base-model/sentence-prompts.ts';
import { type PeftConfig, parsePeftConfig } from '../config/index.ts';
import { GraftError } from '../errors.ts';
import { autoClass, type TaskType } from '../outlines/index.ts';
import { readAllTensors } from '../safetensors/safetensors.ts';
import { type TensorToWrite, type WrittenFile, writeSafetensors } from '../safetensors/write-safetensors.ts';
import { optionError } from '../schema/check-fields.ts';
import { jsonText, writeSmallFile } from '../small-file.ts';
import type { FilesRead } from '../tuners/method-files.ts';
import { methodOf, methods } from '../tuners/methods.ts';
import type { Adapter, AdapterToWrite } from './adapter.ts';
import {
  adapterCard,
  baseDigestIn,
  quantisedBaseIn,
  severalLabelsIn,
  templateKwargsIn,
  withServedLoss,
} from './adapter-card.ts';
import { adapterConfigText, isKnownField } from './adapter-config.ts';

export const configName = 'adapter_config.json';
export const weightsName = 'adapter_model.safetensors';
export const cardName = 'README.md';
/** A list of the class names. PEFT does not save them, and a config.json would make the folder look like a whole model. */
export const labelsName = 'labels.json';
/** transformers' name of a chat template's file, which PEFT ignores. */
export const chatTemplateName = 'chat_template.jinja';
/** Maximum size of a chat template in bytes. */
export const longestChatTemplate = 1 << 17;

/**
 * Reads a folder in the format of HF PEFT, or of the library of a method with its own files. `task`, the base model's own, is used if
 * task_type is null, PEFT's default. Throws GraftError: `invalid_adapter` (a file is missing or broken), `invalid_safetensors`, and
 * parsePeftConfig's codes; `unimplemented_peft_option` names an option that changes the model and that Graft does not implement.
 */
export async function readAdapter(folder: string, task: TaskType = 'CAUSAL_LM'): Promise<Adapter> {
  const raw = await readConfigFile(folder);
  const own =
    raw.peft_type === undefined ? Object.values(methods).find(({ files }) => files?.isOwn(raw)) : undefined;
  if (own?.files) {
    const besides = await readBesides(folder);
    return { ...adapterOf(await own.files.read(folder, raw)), ...besides };
  }
  const texts = await readPeftTexts(folder, task);
  return { ...texts, tensors: await readAllTensors(path.join(folder, weightsName)) };
}

async function readConfigFile(folder: string): Promise<Record<string, unknown>> {
  const raw = await readJsonFile(path.join(folder, configName), 'invalid_adapter');
  if (!raw) throw invalid(`${folder} has no ${configName}`);
  return raw;
}

/** `readAdapter` without the weights, for a folder in the format of HF PEFT that has some. */
export async function readPeftTexts(folder: string, task: TaskType): Promise<Omit<Adapter, 'tensors'>> {
  const besides = await readBesides(folder);
  const labels = await readLabels(folder);
  const { config, common } = parseAdapterConfig(await readConfigFile(folder), task);
  const names = await readdir(folder);
  if (!names.includes(weightsName)) {
    const pickle = names.includes('adapter_model.bin')
      ? ' (adapter_model.bin is a pickle file, which is never read)'
      : '';
    throw invalid(`${folder} has no ${weightsName}${pickle}`);
  }
  return { config, common, labels, ...besides };
}

/** Maximum size of a README.md that is read, in bytes. */
const longestCard = 1 << 20;

type CardField = 'baseDigest' | 'templateKwargs' | 'quantised' | 'severalLabels';

/** The fields that come from files of Graft's own, whatever the library of the others. */
type Besides = CardField | 'chatTemplate' | 'sentencePrompts';

async function readBesides(folder: string): Promise<Pick<Adapter, Besides>> {
  return {
    ...(await readCard(folder)),
    chatTemplate: await readChatTemplate(folder),
    sentencePrompts: await readSentencePrompts(folder, 'invalid_adapter'),
  };
}

async function readCard(folder: string): Promise<Pick<Adapter, CardField>> {
  const file = path.join(folder, cardName);
  const size = await stat(file).then(
    (stats) => stats.size,
    () => Number.POSITIVE_INFINITY,
  );
  const card = size > longestCard ? '' : await readFile(file, 'utf8');
  return {
    baseDigest: baseDigestIn(card),
    severalLabels: severalLabelsIn(card),
    templateKwargs: templateKwargsIn(card),
    quantised: quantisedBaseIn(card),
  };
}

async function readChatTemplate(folder: string): Promise<string | null> {
  const file = path.join(folder, chatTemplateName);
  const size = await stat(file).then(
    (stats) => stats.size,
    () => 0,
  );
  if (size > longestChatTemplate)
    throw invalid(`${folder}/${chatTemplateName} has ${size} bytes; the limit is ${longestChatTemplate}`);
  return size === 0 ? null : await readFile(file, 'utf8');
}

async function readLabels(folder: string): Promise<string[] | null> {
  const labels = await readJson(path.join(folder, labelsName), 'invalid_adapter');
  if (labels === null) return null;
  if (Array.isArray(labels) && labels.every((each) => typeof each === 'string')) return labels;
  throw invalid(`${folder}/${labelsName} is not a list of names`);
}

/** The method's config and the common fields of an adapter_config.json. Throws what parsePeftConfig throws. */
export function parseAdapterConfig(
  raw: Record<string, unknown>,
  task: TaskType,
): Pick<Adapter, 'config' | 'common'> {
  // Options added by a newer PEFT are accepted if they are off.
  const given = Object.entries(raw).filter(
    ([field, value]) => isKnownField(raw.peft_type, field) || !isOff(value),
  );
  const text = (field: string) => (typeof raw[field] === 'string' ? (raw[field] as string) : null);
  const config = parsePeftConfig(Object.fromEntries(given), { saved: true });
  const fault = methodOf(config).unreadable?.(config);
  if (fault) throw optionError(fault.option, fault.message);
  return {
    // PEFT adds a classifier's head to modules_to_save only for a task_type, so Graft adds none without one either.
    config: (raw.task_type ?? null) === null ? { ...config, task_type: task } : config,
    common: {
      auto_mapping: null,
      base_model_name_or_path: text('base_model_name_or_path'),
      inference_mode: raw.inference_mode === true,
      peft_version: text('peft_version'),
      revision: text('revision'),
      task_type: text('task_type'),
    },
  };
}

/** Converts the content of another library's files to an adapter. */
function adapterOf({ config, baseModelName, tensors, labels }: FilesRead): Omit<Adapter, Besides> {
  return {
    config: parsePeftConfig(config, { saved: true }),
    common: {
      auto_mapping: null,
      base_model_name_or_path: baseModelName,
      inference_mode: true,
      peft_version: null,
      revision: null,
      task_type: config.task_type,
    },
    tensors,
    labels,
  };
}

function isOff(value: unknown): boolean {
  if (value === null || value === false) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/**
 * Replaces the adapter_config.json of a folder by one with the same options of the method. This function sets all other fields that
 * loaders act on: the names of the base model and its tokenizer, no revision, no class to import.
 */
export async function rewriteAdapterConfig(
  folder: string,
  peft: PeftConfig,
  baseModelNameOrPath: string,
): Promise<void> {
  // PEFT loads the tokenizer named in a prompt's config.
  const named = 'tokenizer_name_or_path' in peft ? { ...peft, tokenizer_name_or_path: null } : peft;
  await writeSmallFile(folder, configName, adapterConfigText(named, baseModelNameOrPath));
}

/**
 * Writes adapter_config.json, adapter_model.safetensors and README.md like HF PEFT 0.21, or the files of the method's own
 * library. Each file is complete and synced to disk before it gets its name. `path` in the result is relative to `folder`.
 */
export async function writeAdapter(
  folder: string,
  adapter: AdapterToWrite,
): Promise<{ files: WrittenFile[] }> {
  await mkdir(folder, { recursive: true });
  const { peft, baseModelNameOrPath, tensors, baseConfig, labels = null } = adapter;
  const own = methodOf(peft).files;
  if (!own) return await writePeftAdapter(folder, adapter);
  if (!baseConfig)
    throw new Error(`a ${peft.peft_type} adapter is written with its base model's config.json`);
  const { texts, weights } = own.write(peft, {
    baseModelName: baseModelNameOrPath,
    baseConfig,
    tensors,
    labels,
  });
  const files: WrittenFile[] = [];
  for (const [name, text] of texts) files.push(await writeSmallFile(folder, name, text));
  for (const [name, tensors] of weights) files.push(await writeWeights(folder, name, tensors, {}));
  files.push(await writeSmallFile(folder, cardName, cardOf(adapter)));
  files.push(...(await writeBesides(folder, adapter)));
  return { files };
}

/** `writeAdapter` for a method with PEFT's files. Tensors may be functions that compute their values when they are written. */
export async function writePeftAdapter(
  folder: string,
  adapter: Omit<AdapterToWrite, 'tensors'> & { tensors: WrittenTensors },
): Promise<{ files: WrittenFile[] }> {
  await mkdir(folder, { recursive: true });
  const { peft, baseModelNameOrPath, tensors, labels = null } = adapter;
  return {
    files: [
      await writeSmallFile(folder, configName, adapterConfigText(peft, baseModelNameOrPath)),
      await writeWeights(folder, weightsName, tensors),
      await writeSmallFile(folder, cardName, cardOf(adapter)),
      ...(labels ? [await writeSmallFile(folder, labelsName, jsonText(labels))] : []),
      ...(await writeBesides(folder, adapter)),
    ],
  };
}

async function writeBesides(
  folder: string,
  { chatTemplate, sentencePrompts }: Pick<AdapterToWrite, 'chatTemplate' | 'sentencePrompts'>,
): Promise<WrittenFile[]> {
  const texts = [
    { name: chatTemplateName, text: chatTemplate },
    { name: sentencePromptsName, text: sentencePrompts && sentencePromptsText(sentencePrompts) },
  ];
  const files: WrittenFile[] = [];
  for (const { name, text } of texts) if (text) files.push(await writeSmallFile(folder, name, text));
  return files;
}

function cardOf({
  peft,
  baseModelNameOrPath,
  baseConfig = {},
  labels = null,
  baseDigest = null,
  sentencePrompts,
  card,
}: Omit<AdapterToWrite, 'tensors'>): string {
  const modelClass = autoClass(baseConfig, peft.task_type);
  return adapterCard(peft, baseModelNameOrPath, {
    modelClass,
    labels,
    baseDigest,
    prompts: sentencePrompts?.prompts ?? null,
    ...card,
  });
}

type WrittenTensors = ReadonlyMap<string, Pick<TensorToWrite, 'shape' | 'data'>>;

/**
 * Writes the validation loss of an adapter on the original base into its README.md, if that names the quantised base of training;
 * otherwise writes nothing and returns null.
 */
export async function writeServedLoss(folder: string, loss: number): Promise<WrittenFile | null> {
  const card = await readFile(path.join(folder, cardName), 'utf8').catch(() => '');
  const completed = withServedLoss(card, loss);
  return completed === card ? null : await writeSmallFile(folder, cardName, completed);
}

async function writeWeights(
  folder: string,
  name: string,
  tensors: WrittenTensors,
  metadata?: Record<string, string>,
): Promise<WrittenFile> {
  const given = metadata ? { metadata } : {};
  const listed = [...tensors].map(([name, { shape, data }]) => ({ name, shape, data }));
  return { ...(await writeSafetensors(path.join(folder, name), listed, given)), path: name };
}

function invalid(message: string): GraftError {
  return new GraftError('invalid_adapter', message, { param: 'adapter' });
}
