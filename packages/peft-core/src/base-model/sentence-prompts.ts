/** Prompts of sentence-transformers models: texts that are put before every query, document and so on. */
import path from 'node:path';
import { GraftError } from '../errors.ts';
import type { PromptColumns } from '../objectives/objective.ts';
import { isRecord } from '../schema/check-fields.ts';
import { jsonText } from '../small-file.ts';
import { readJsonFile } from './json-file.ts';

export interface SentencePrompts {
  /** Text by name; an empty one is no prompt. */
  prompts: Readonly<Record<string, string>>;
  /** The name of the prompt for texts without another; null: none. */
  defaultName: string | null;
}

/** sentence-transformers' name of the file, of models and of adapters. */
export const sentencePromptsName = 'config_sentence_transformers.json';

/** Maximum number of prompts, and of characters of a name and of a text. */
const limits = { prompts: 256, name: 200, text: 2048 };

/**
 * The prompts in a folder; null without any. Throws GraftError `code`, which names the file and the field.
 * Source: sentence-transformers 6.3, base/model.py.
 */
export async function readSentencePrompts(
  folder: string,
  code: 'invalid_model' | 'invalid_adapter' = 'invalid_model',
): Promise<SentencePrompts | null> {
  const file = path.join(folder, sentencePromptsName);
  const { prompts: given = {}, default_prompt_name: name = null } = (await readJsonFile(file, code)) ?? {};
  const invalid = (message: string) => new GraftError(code, `${file}: ${message}`, { param: 'model' });
  if (!isRecord(given)) throw invalid('prompts must be an object of texts');
  // A null is a name without a text, as sentence-transformers reads it.
  const prompts = Object.entries(given).map(([key, text]): [string, unknown] => [key, text ?? '']);
  if (prompts.length === 0 && name === null) return null;
  if (prompts.length > limits.prompts)
    throw invalid(`prompts has ${prompts.length} entries; the limit is ${limits.prompts}`);
  const bad = prompts.find(
    ([key, text]) => key.length > limits.name || typeof text !== 'string' || text.length > limits.text,
  );
  if (bad)
    throw invalid(
      `prompts.${bad[0].slice(0, limits.name)} must be a text of at most ${limits.text} characters, with a name of at most ${limits.name}`,
    );
  const known = Object.fromEntries(prompts) as Record<string, string>;
  if (name !== null && (typeof name !== 'string' || !Object.hasOwn(known, name)))
    throw invalid(`default_prompt_name must be a name in prompts`);
  return { prompts: known, defaultName: name };
}

/** The content of the file. `others`: further fields of the base model's file. */
export const sentencePromptsText = (
  { prompts, defaultName }: SentencePrompts,
  others: Record<string, unknown> = {},
): string => jsonText({ similarity_fn_name: 'cosine', ...others, prompts, default_prompt_name: defaultName });

/** The text of a prompt by its name; null: the default. The empty name is no prompt. Throws `unknown_prompt`, which lists the names. */
export function promptText(known: SentencePrompts | null, name: string | null): string {
  const { prompts = {}, defaultName = null } = known ?? {};
  const asked = name ?? defaultName;
  if (asked === null || asked === '') return '';
  if (Object.hasOwn(prompts, asked)) return prompts[asked]!;
  const names = Object.keys(prompts);
  const has = names.length > 0 ? `its prompts are ${names.slice(0, 20).join(', ')}` : 'it has none';
  throw new GraftError('unknown_prompt', `the model has no prompt ${JSON.stringify(asked)}; ${has}`, {
    param: 'prompt_name',
  });
}

/**
 * The prompts of an adapter: the base model's, with those of its training under the names that requests use. `trained`: by
 * column; absent: the adapter was trained without any.
 */
export function trainedPrompts(
  base: SentencePrompts | null,
  trained: Readonly<Record<string, string>> = {},
  columns: PromptColumns,
): SentencePrompts | null {
  const prompts = { ...base?.prompts };
  const done = new Set<string>();
  for (const [column, names] of Object.entries(columns)) {
    const text = trained[column] ?? '';
    const name = names.find((each) => Object.hasOwn(prompts, each)) ?? names[0] ?? column;
    const isStored = names.length === 0 && Object.values(prompts).includes(text);
    if (done.has(name) || isStored || (text === '' && !Object.hasOwn(prompts, name))) continue;
    done.add(name);
    prompts[name] = text;
  }
  if (Object.keys(prompts).length === 0) return null;
  return { prompts, defaultName: base?.defaultName ?? null };
}
