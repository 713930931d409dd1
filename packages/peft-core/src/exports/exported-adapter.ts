import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import type { BaseModel } from '../base-model/base-model.ts';
import { companionsOf } from '../base-model/companion-files.ts';
import type { PeftConfig } from '../tuners/methods.ts';
import type { ExportedAdapter } from './export-format.ts';

/** Returns the properties that export formats read of an adapter with these files and the open base model. */
export function exportedAdapter(
  base: Pick<BaseModel, 'config' | 'generationConfig' | 'path' | 'tensors' | 'tokenizerFiles'>,
  adapter: { config: PeftConfig; chatTemplate: string | null; bytes: number },
): ExportedAdapter {
  const { config: modelConfig, generationConfig, tensors, tokenizerFiles } = base;
  const { tokenizerJson, tokenizerConfig, chatTemplate } = tokenizerFiles;
  const bytesOf = (json: unknown) => (json ? Buffer.byteLength(JSON.stringify(json, null, 2)) + 1 : 0);
  const own = adapter.chatTemplate ?? chatTemplate;
  return {
    config: adapter.config,
    modelConfig,
    tensors,
    chatTemplate: own,
    adapterBytes: adapter.bytes,
    smallFileBytes:
      [modelConfig, generationConfig, tokenizerJson, tokenizerConfig]
        .map(bytesOf)
        .concat(companionsOf(base.path).map(({ bytes }) => bytes))
        .reduce((sum, bytes) => sum + bytes, 0) + Buffer.byteLength(own ?? ''),
  };
}

/** The files of a folder with their bytes, without those of folders in it. Links count as what they lead to: caches of models consist of them. */
export async function filesOf(folder: string): Promise<{ name: string; bytes: number }[]> {
  const found = (await readdir(folder)).map(async (name) => {
    // A link may lead nowhere.
    const file = await stat(path.join(folder, name)).catch(() => null);
    return file?.isFile() ? [{ name, bytes: file.size }] : [];
  });
  return (await Promise.all(found)).flat();
}

/** Bytes of the files of a folder, without those of folders in it. */
export async function folderBytes(folder: string): Promise<number> {
  return (await filesOf(folder)).reduce((sum, { bytes }) => sum + bytes, 0);
}
