import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { fetchHubModel, resolveBaseModel } from '@graft/peft-core/files';
import type { ServiceEnv } from '../../environment/env.ts';
import { FileDigests } from '../../storage/disk/file-digests.ts';
import type { AddedModel, FetchWatch, ModelFile } from './added-model.ts';

export type BringEnv = Pick<
  ServiceEnv,
  'cacheDir' | 'hfEndpoint' | 'hfToken' | 's3Endpoint' | 'minFreeBytes'
>;

/** Where this machine keeps what an installation's operator has added: a folder for each, named by its row. */
export function addedModelsFolder({ cacheDir }: Pick<ServiceEnv, 'cacheDir'>, installation: string): string {
  return path.join(cacheDir, 'models', 'added', installation);
}

/** What findHubCommit and fetchHubModel take. */
export function hubOptions(env: BringEnv, folder: string, watch: FetchWatch = {}) {
  return { ...watch, cacheDir: folder, env: { HF_ENDPOINT: env.hfEndpoint, HF_TOKEN: env.hfToken } };
}

/**
 * The path of a model on this machine, below `folder` unless it is a folder of the operator's, fetched first if it is not there. A
 * model of the Hub has its `commit`. Throws what resolveBaseModel and fetchS3Model throw.
 */
export async function bringModel(
  model: Pick<AddedModel, 'source' | 'location' | 'file' | 'commit' | 'files'>,
  folder: string,
  env: BringEnv,
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
      // The client of S3 is loaded by those alone who use it.
      const { fetchS3Model } = await import('./fetch-s3-model.ts');
      const from = { url: model.location, file: model.file, endpoint: env.s3Endpoint };
      return await fetchS3Model(from, path.join(folder, 's3'), model.files, watched);
    }
  }
}

/** What a model is read from besides its weights; never pickle. */
const smallFile = /^[\w.-]+\.(?:json|jinja)$/;

/** The files that a model is read from, each with its digest, by their paths in its folder. `weightFiles` are absolute. */
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
