import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { configName, parseAdapterConfig } from '../adapter-files/adapter-files.ts';
import { exportFormats } from './formats.ts';
import { modelCard } from './model-card.ts';

/** Maximum size of an adapter_config.json that is read, in bytes. */
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
  const { config, base } = await readConfig(path.join(folder, configName));
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
async function readConfig(file: string): Promise<{ config: Config | null; base: string | null }> {
  try {
    if ((await stat(file)).size > longestConfig) return { config: null, base: null };
    const raw = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    const { config, common } = parseAdapterConfig(raw, 'CAUSAL_LM');
    return { config, base: common.base_model_name_or_path };
  } catch {
    return { config: null, base: null };
  }
}
