/** What training writes of an adapter, as a process sees it that trusts nobody who writes files. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { GraftError } from '../errors.ts';
import { readSafetensors } from '../safetensors/safetensors.ts';
import { methods } from '../tuners/methods.ts';
import { cardName, configName, labelsName, weightsName } from './adapter-files.ts';
import { checkLoaderFields } from './check-common-fields.ts';

const names: ReadonlySet<string> = new Set([
  configName,
  weightsName,
  cardName,
  labelsName,
  ...Object.values(methods).flatMap(({ files }) => files?.names ?? []),
]);
/** Of a text, in bytes: the names of a classifier's classes, or of the modules that a config lists. */
const longestText = 16 * 2 ** 20;

/** The most bytes that a file of an adapter may have; null: adapters have none of this name. */
export function mostBytesOfAdapterFile(name: string): number | null {
  if (!names.has(name)) return null;
  return name.endsWith('.safetensors') ? Number.POSITIVE_INFINITY : longestText;
}

/**
 * Checks an adapter's files that nobody changes any more, without its base model: texts are JSON, nothing that a loader imports is named,
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
