import { statSync } from 'node:fs';
import { copyFile, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { WrittenFile } from '../safetensors/write-safetensors.ts';
import { sha256 } from '../sha256.ts';
import { sentencePromptsName } from './sentence-prompts.ts';

/**
 * Files that Graft copies without reading them, because other programs need them: the configuration of image and audio processors, and the
 * SentencePiece tokenizer, which some loaders prefer. Their content does not depend on the weights.
 */
export const companionNames = [
  'preprocessor_config.json',
  'processor_config.json',
  'video_preprocessor_config.json',
  'special_tokens_map.json',
  'tokenizer.model',
];
/** Prompts and the maximum length of a sentence-transformers model. */
export const sentenceNames = [sentencePromptsName, 'sentence_bert_config.json'];

/** Maximum size of such a file in bytes; the largest in use, a tokenizer.model, has 5 MB. */
export const largestCompanion = 16 << 20;

/** The files of `names` that a folder has, with their bytes. A model that is a single file has none. */
export function companionsOf(
  folder: string,
  names: readonly string[] = [...companionNames, ...sentenceNames],
): { name: string; bytes: number }[] {
  if (!statSync(folder).isDirectory()) return [];
  return names.flatMap((name) => {
    const stats = statSync(path.join(folder, name), { throwIfNoEntry: false });
    return stats?.isFile() && stats.size <= largestCompanion ? [{ name, bytes: stats.size }] : [];
  });
}

/** Copies the files of `names` that a folder has. Returns the copies, with paths relative to `to`. */
export async function copyCompanions(
  from: string,
  to: string,
  names: readonly string[],
): Promise<WrittenFile[]> {
  return await Promise.all(
    companionsOf(from, names).map(async ({ name, bytes }) => {
      await copyFile(path.join(from, name), path.join(to, name));
      return { path: name, bytes, sha256: sha256(await readFile(path.join(to, name))) };
    }),
  );
}
