/** Checks the adapter files that a training run wrote, for a process that does not trust the writer. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { sentencePromptsName } from '../base-model/sentence-prompts.ts';
import { GraftError } from '../errors.ts';
import { readSafetensors } from '../safetensors/safetensors.ts';
import { methods } from '../tuners/methods.ts';
import {
  cardName,
  chatTemplateName,
  configName,
  labelsName,
  longestChatTemplate,
  weightsName,
} from './adapter-files.ts';
import { checkLoaderFields } from './check-common-fields.ts';

const names: ReadonlySet<string> = new Set([
  configName,
  weightsName,
  cardName,
  labelsName,
  chatTemplateName,
  sentencePromptsName,
  ...Object.values(methods).flatMap(({ files }) => files?.names ?? []),
]);
/** Maximum size of a text file in bytes: class names, or the modules listed in a config, can be long. */
const longestText = 16 * 2 ** 20;

/** Maximum size in bytes of an adapter's file; null if adapters have no file with this name. */
export function maxAdapterFileBytes(name: string): number | null {
  if (!names.has(name)) return null;
  if (name === chatTemplateName) return longestChatTemplate;
  return name.endsWith('.safetensors') ? Number.POSITIVE_INFINITY : longestText;
}

/**
 * Checks an adapter's final files without its base model: text files are JSON, no field names anything for a loader to import,
 * and every safetensors header describes its file. Throws GraftError `invalid_adapter`, `invalid_safetensors`, `invalid_peft_config`.
 */
export async function checkWrittenAdapter(folder: string, files: readonly string[]): Promise<void> {
  if (!files.includes(configName)) throw invalid(configName, 'is missing');
  for (const name of files) {
    const file = path.join(folder, name);
    if (name.endsWith('.safetensors')) await (await readSafetensors(file)).close();
    else if (name.endsWith('.json')) {
      const value = parse(name, await readFile(file, 'utf8'));
      if (name === configName) checkLoaderFields(value as Record<string, unknown>);
    }
  }
}

function parse(name: string, text: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(name, 'is not JSON');
  }
  if (typeof value !== 'object' || value === null) throw invalid(name, 'is neither an object nor a list');
  return value;
}

function invalid(name: string, what: string): GraftError {
  return new GraftError('invalid_adapter', `${name} ${what}`);
}
