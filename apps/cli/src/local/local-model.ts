import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { BaseModel } from '@graft/peft-core/files';
import { UsageError } from '../errors.ts';
import { given } from '../options/arguments.ts';
import type { Output } from '../output.ts';
import { loadPeftCore } from './load-peft-core.ts';

export interface LocalModel {
  base: BaseModel;
  /** The name as given by the user, which adapter_config.json records as the base model. */
  name: string;
}

/**
 * Opens `--model`: a folder, a .gguf file, an id of the service's catalogue, or any `org/name` on the Hub. Downloads a model that is not on
 * this machine, and reports progress to `note`.
 */
export async function openLocalModel(
  name: string,
  options: { note: (line: string) => void; signal?: AbortSignal },
): Promise<LocalModel> {
  const { openBaseModel, resolveBaseModel } = await import('@graft/peft-core/files');
  const { cacheFolder, digestFolder } = await import('@graft/service/base-models');
  const cacheDir = cacheFolder(process.env);
  const resolving = { cacheDir, onProgress: options.note, signal: options.signal };
  const path = await resolveBaseModel(await findLocalModel(name), resolving);
  // The digest is compared with the one in an adapter. It is cached, so that a large model is hashed only once.
  return { base: await openBaseModel(path, { digestCache: digestFolder(cacheDir) }), name };
}

export type PeftCore = Awaited<ReturnType<typeof loadPeftCore>>;

export const modelOption = 'base model: folder, .gguf file, or id such as smollm2-135m-instruct';

/** Opens `--model` and loads TensorFlow in float32 for `work`; closes the model afterwards. */
export async function withLocalModel<T>(
  name: string,
  { note }: Pick<Output, 'note'>,
  work: (base: BaseModel, peftCore: PeftCore) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  const { base } = await openLocalModel(name, { note, ...given({ signal }) });
  try {
    return await work(base, await loadPeftCore('fp32'));
  } finally {
    await base.close();
  }
}

type BaseModelSpec = Parameters<typeof import('@graft/peft-core/files').resolveBaseModel>[0];

/** The source of a base model by its name. Throws UsageError for an unknown one. */
export async function findLocalModel(name: string): Promise<BaseModelSpec> {
  // An existing folder takes precedence, whatever its name.
  if (existsSync(name)) return { folder: resolve(name) };
  const { listBaseModels } = await import('@graft/service/base-models');
  const baseModels = process.env.GRAFT_BASE_MODELS ? resolve(process.env.GRAFT_BASE_MODELS) : undefined;
  const acceptedTerms = (process.env.GRAFT_ACCEPTED_TERMS ?? '').split(',').map((id) => id.trim());
  const models = await listBaseModels({
    baseModels,
    hubAllow: ['*/*'],
    acceptedTerms: acceptedTerms.filter(Boolean),
  }).catch((error: Error) => {
    throw new UsageError(error.message);
  });
  const found = models.find(name);
  if (found) return found;
  const { packagedModels } = await import('@graft/peft-core/files');
  const terms = packagedModels.find(({ id }) => id === name)?.terms;
  if (terms)
    throw new UsageError(
      `--model: the ${terms.name} apply to ${name} (${terms.url}). If you accept them, set GRAFT_ACCEPTED_TERMS=${name}.`,
    );
  const ids = [...models.entries.keys()].join(', ');
  throw new UsageError(
    `--model must be an existing folder or .gguf file, or a model id (${ids}, or org/name on the Hugging Face Hub), got ${name}.`,
  );
}
