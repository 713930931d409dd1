import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { configName, parseAdapterConfig } from '../adapter-files/adapter-files.ts';
import { autoClass, defaultTask } from '../outlines/index.ts';
import { exportFormats } from './formats.ts';
import { modelCard } from './model-card.ts';

/** Maximum size of an adapter_config.json or config.json that is read, in bytes. */
const longestConfig = 1 << 20;
const hubId = /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/;

/**
 * The model card of a folder that Graft has written, by its files alone. `licenseOf` returns the licence of a base model on the Hub. Null: the
 * folder has a README.md, or files of no format.
 */
export async function folderCard(
  folder: string,
  repository: string,
  licenseOf: (id: string) => Promise<string | null>,
): Promise<string | null> {
  const names = await readdir(folder);
  if (names.some((name) => name.toLowerCase() === 'readme.md')) return null;
  const format = exportFormats.find(({ card }) => card.recognises(names));
  if (!format) return null;
  const { config, base } = await readAdapterConfig(path.join(folder, configName));
  const model = (await readObject(path.join(folder, 'config.json'))) ?? {};
  // Any other name may be a path on this machine, which is private.
  const hub = base !== null && hubId.test(base) ? base : null;
  return modelCard({
    format,
    options: {},
    repository,
    base: {
      name: hub ?? 'that it was trained on',
      hub,
      digest: null,
      license: hub && (await licenseOf(hub)),
      modelClass: autoClass(model, config?.task_type ?? defaultTask(model)),
    },
    config,
    training: {},
    data: [],
    figures: [],
    notes: [],
    adapterReadme: null,
    graft: null,
  });
}

type Config = ReturnType<typeof parseAdapterConfig>['config'];

/** Null: there is none that Graft can read. */
async function readAdapterConfig(file: string): Promise<{ config: Config | null; base: string | null }> {
  try {
    const { config, common } = parseAdapterConfig((await readObject(file))!, 'CAUSAL_LM');
    return { config, base: common.base_model_name_or_path };
  } catch {
    return { config: null, base: null };
  }
}

/** Null: there is none that can be read. */
async function readObject(file: string): Promise<Record<string, unknown> | null> {
  try {
    return (await stat(file)).size > longestConfig ? null : JSON.parse(await readFile(file, 'utf8'));
  } catch {
    return null;
  }
}
