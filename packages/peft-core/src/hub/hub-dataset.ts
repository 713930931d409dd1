import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { tarBytes } from '../examples/containers/tar.ts';
import { downloadFile } from './download-file.ts';
import { fileSize } from './file-size.ts';
import { findHubFiles } from './find-hub-files.ts';
import { connectToHub } from './hub-connection.ts';
import type { HubDataset } from './parse-hub-dataset.ts';
import type { ResolveOptions } from './resolve-options.ts';
import { archiveOf } from './shards.ts';

/**
 * The local path of a split's data file, downloaded if it is missing to <cacheDir>/data-sets/<organisation>--<name>/<commit>; of several
 * shards, that of an archive with all of them. Throws GraftError `data_set_not_found`, and the connection's errors.
 */
export async function fetchHubDataset(
  dataset: HubDataset,
  options: Pick<ResolveOptions, 'cacheDir' | 'env' | 'signal' | 'retryDelay'> & {
    onBytes?: (bytes: number) => void;
  },
): Promise<string> {
  const { name, split, config } = dataset;
  const hub = connectToHub(`datasets/${name}`, options.env);
  const { commit, files } = await findHubFiles(dataset, hub);
  const folder = path.join(options.cacheDir, 'data-sets', name.replace('/', '--'), commit);
  const archive = path.join(folder, `${config === null ? '' : `${config}-`}${split}.tar`);
  const isWhole = files.length === 1;
  if (!isWhole && (await fileSize(archive)) === tarBytes(files.map(({ file }) => file.size))) return archive;
  const targets: string[] = [];
  for (const { file, url } of files) {
    const target = path.join(folder, file.path);
    targets.push(target);
    if ((await fileSize(target)) === file.size) continue;
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
  }
  if (isWhole) return targets[0]!;
  const shards = files.map(({ file }, i) => ({ file, content: () => createReadStream(targets[i]!) }));
  await pipeline(archiveOf(shards), createWriteStream(`${archive}.part`));
  await rename(`${archive}.part`, archive);
  for (const target of targets) await rm(target);
  return archive;
}
