import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { downloadFile } from './download-file.ts';
import { fileSize } from './file-size.ts';
import { findHubFile } from './find-hub-file.ts';
import { connectToHub } from './hub-connection.ts';
import type { HubDataset } from './parse-hub-dataset.ts';
import type { ResolveOptions } from './resolve-options.ts';

/**
 * The local path of a split's data file, downloaded if it is missing to <cacheDir>/data-sets/<organisation>--<name>/<commit>. Throws
 * GraftError `data_set_not_found`, and the connection's errors.
 */
export async function fetchHubDataset(
  dataset: HubDataset,
  options: Pick<ResolveOptions, 'cacheDir' | 'env' | 'signal' | 'retryDelay'> & {
    onBytes?: (bytes: number) => void;
  },
): Promise<string> {
  const { name } = dataset;
  const hub = connectToHub(`datasets/${name}`, options.env);
  const { commit, file, url } = await findHubFile(dataset, hub);
  const target = path.join(options.cacheDir, 'data-sets', name.replace('/', '--'), commit, file.path);
  if ((await fileSize(target)) === file.size) return target;
  await mkdir(path.dirname(target), { recursive: true });
  await downloadFile({
    url,
    target,
    file,
    hub,
    signal: options.signal,
    ...(options.retryDelay === undefined ? {} : { retryDelay: options.retryDelay }),
    onBytes: (bytes) => options.onBytes?.(bytes),
  });
  return target;
}
