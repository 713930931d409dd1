import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { fetchHubModel, resolveBaseModel } from '@graft/peft-core/files';
import type { ServiceEnv } from '../../environment/env.ts';
import { FileDigests } from '../../storage/disk/file-digests.ts';
import type { AddedModel, FetchWatch, ModelFile } from './added-model.ts';

export type EnsureModelEnv = Pick<
  ServiceEnv,
  'cacheDir' | 'hfEndpoint' | 'hfToken' | 's3Endpoint' | 'minFreeBytes'
>;

/** Returns this machine's folder for an installation's added models; it holds a folder per model, named by the id of its row. */
export function addedModelsFolder({ cacheDir }: Pick<ServiceEnv, 'cacheDir'>, installation: string): string {
  return path.join(cacheDir, 'models', 'added', installation);
}

export function hubOptions(env: EnsureModelEnv, folder: string, watch: FetchWatch = {}) {
  return { ...watch, cacheDir: folder, env: { HF_ENDPOINT: env.hfEndpoint, HF_TOKEN: env.hfToken } };
}

/**
 * Returns the local path of a model, fetching it first if needed: below `folder`, or the operator's own folder. A Hub model must have its
 * `commit`. Throws what resolveBaseModel and fetchS3Model throw.
 */
export async function ensureModel(
  model: Pick<AddedModel, 'source' | 'location' | 'file' | 'commit' | 'files'>,
  folder: string,
  env: EnsureModelEnv,
  watch: FetchWatch = {},
): Promise<string> {
  const watched = { minFreeBytes: env.minFreeBytes, ...watch };
  switch (model.source) {
    case 'folder':
      return await resolveBaseModel({ folder: model.location }, { cacheDir: folder });
    case 'hub': {
      const revision = model.commit ?? undefined;
      const spec = { hub: model.location, revision, file: model.file ?? undefined };
      return await fetchHubModel(spec, hubOptions(env, folder, watched));
    }
    case 's3': {
      // Loads the S3 client only when it is needed.
      const { fetchS3Model } = await import('./fetch-s3-model.ts');
      const from = { url: model.location, file: model.file, endpoint: env.s3Endpoint };
      return await fetchS3Model(from, path.join(folder, 's3'), model.files, watched);
    }
  }
}

/** Files that a model needs besides its weights; never pickle. */
const smallFile = /^[\w.-]+\.(?:json|jinja)$/;

/** Lists the files of a model with their digests and their paths relative to its folder. `weightFiles` are absolute. */
export async function describeModel(
  location: string,
  weightFiles: readonly string[],
  signal: AbortSignal,
): Promise<ModelFile[]> {
  const isFile = (await stat(location)).isFile();
  const folder = isFile ? path.dirname(location) : location;
  const paths = new Set(weightFiles.map((file) => path.relative(folder, file)));
  for (const name of isFile ? [] : await readdir(folder)) {
    if (smallFile.test(name)) paths.add(name);
    if (/^\d+_Pooling$/.test(name)) paths.add(path.join(name, 'config.json'));
  }
  const files: ModelFile[] = [];
  const digests = new FileDigests();
  for (const each of [...paths].sort()) {
    signal.throwIfAborted();
    const about = await stat(path.join(folder, each)).catch(() => null);
    if (about?.isFile()) files.push({ path: each, ...(await digests.of(path.join(folder, each))) });
  }
  return files;
}
