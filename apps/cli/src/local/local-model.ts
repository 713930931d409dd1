import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { BaseModel } from '@graft/peft-core/files';
import { UsageError } from '../errors.ts';

export interface LocalModel {
  base: BaseModel;
  /** As the user gave it: what adapter_config.json names as its base. */
  name: string;
}

/**
 * Opens `--model`: a folder, a .gguf file, a bundled model's id, an id of GRAFT_BASE_MODELS, or `org/name` on the
 * Hub. Fetches what is not here, telling `note`.
 */
export async function openLocalModel(
  name: string,
  options: { note: (line: string) => void; signal?: AbortSignal },
): Promise<LocalModel> {
  const models = await import('@graft/peft-core/files');
  const cacheDir = cacheFolder();
  const resolving = { cacheDir, onProgress: options.note, signal: options.signal };
  const path = await models.resolveBaseModel(specOf(name, models.packagedModels), resolving);
  // An adapter that tells its base model's digest has it compared: a large model is hashed once, not at every command.
  return { base: await models.openBaseModel(path, { digestCache: join(cacheDir, 'digests') }), name };
}

type PackagedModels = typeof import('@graft/peft-core/files').packagedModels;
type BaseModelSpec = Parameters<typeof import('@graft/peft-core/files').resolveBaseModel>[0];

function specOf(name: string, packaged: PackagedModels): BaseModelSpec {
  // A folder that is there wins, whatever it is called.
  if (existsSync(name)) return { folder: resolve(name) };
  const listed = operatorModels();
  const entry = listed.get(name);
  if (entry !== undefined) return entry;
  const bundled = packaged.find(({ id }) => id === name);
  if (bundled) return { python: bundled.python };
  if (/^[\w.-]+\/[\w.-]+$/.test(name) && !name.startsWith('.')) return { hub: name };
  const ids = [...packaged.map(({ id }) => id), ...listed.keys()].join(', ');
  throw new UsageError(
    `--model: there is no file or folder ${name}, and it is no model id (${ids}, or org/name on the Hugging Face Hub).`,
  );
}

/** GRAFT_BASE_MODELS: {id: {folder} | {hub, revision?}}; folders are relative to the file. */
function operatorModels(): Map<string, BaseModelSpec> {
  const path = process.env.GRAFT_BASE_MODELS;
  if (!path) return new Map();
  let entries: Record<string, { folder?: string; hub?: string; revision?: string }>;
  try {
    entries = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UsageError(`GRAFT_BASE_MODELS: cannot read ${path}: ${(error as Error).message}`);
  }
  return new Map(
    Object.entries(entries).map(([id, { folder, hub, revision }]): [string, BaseModelSpec] => {
      if (folder !== undefined) return [id, { folder: resolve(dirname(path), folder) }];
      if (hub !== undefined) return [id, { hub, ...(revision === undefined ? {} : { revision }) }];
      throw new UsageError(`GRAFT_BASE_MODELS: ${id} in ${path} has neither folder nor hub.`);
    }),
  );
}

/** Where the bootstrap and the service keep models too. */
function cacheFolder(env = process.env): string {
  if (env.GRAFT_CACHE_DIR) return resolve(env.GRAFT_CACHE_DIR);
  return join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'graft');
}
