import { stat } from 'node:fs/promises';
import path from 'node:path';
import { GraftError } from '../errors.ts';
import { fetchHubModel, type HubSpec } from './hub-model.ts';
import { ensurePackagedModel, type ModelPackage } from './packaged-models.ts';
import type { ResolveOptions } from './resolve-options.ts';

export type BaseModelSpec =
  /** A Hugging Face folder or GGUF file on this machine. */
  | { folder: string }
  /** A model of the Hugging Face Hub, or of the server in HF_ENDPOINT. */
  | HubSpec
  | { python: ModelPackage };

/**
 * The local path of a base model, for openBaseModel. Downloads the model first if it is not on this machine.
 *
 * Throws GraftError: `file_not_found`, `base_model_not_found`, `base_model_access_denied`, `base_model_unavailable` (no
 * connection), `base_model_corrupt`, `unsupported_model`, `disk_full`, `python_missing`.
 */
export async function resolveBaseModel(spec: BaseModelSpec, options: ResolveOptions): Promise<string> {
  if ('hub' in spec) return fetchHubModel(spec, options);
  if ('python' in spec) return ensurePackagedModel(spec.python, options);
  const folder = path.resolve(spec.folder);
  await stat(folder).catch((cause) => {
    throw new GraftError('file_not_found', `no model at ${folder}`, { param: 'model', cause });
  });
  return folder;
}
