import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { GraftError } from '../errors.ts';
import { buildOnce } from './build-once.ts';
import { checkSpace } from './check-space.ts';
import { downloadFile } from './download-file.ts';
import { fileSize } from './file-size.ts';
import { connectToHub, type HubConnection, modelFileUrl, unavailable } from './hub-connection.ts';
import { chooseFiles } from './hub-files.ts';
import { listHubFiles } from './list-hub-files.ts';
import { TransferProgress } from './progress.ts';
import type { ResolveOptions } from './resolve-options.ts';

export interface HubSpec {
  /** `organisation/name` */
  hub: string;
  /** Branch, tag or commit; `main` by default. */
  revision?: string | undefined;
  /** The GGUF file to use if a repository has several. */
  file?: string | undefined;
}

const namePattern = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/;
const commitPattern = /^[0-9a-f]{40}$/;

/**
 * The local path of a Hub model: a folder under <cacheDir>/models/hub/<organisation>--<name>/<commit>. Downloads the model first if
 * it is missing. If the Hub is unreachable, a revision downloaded before is used; a downloaded commit never needs the network.
 */
export async function fetchHubModel(spec: HubSpec, options: ResolveOptions): Promise<string> {
  const { hub: name, file = null } = spec;
  const { hub, cache } = placeOf(name, options);
  const commit = await resolveRevision(hub, spec, cache);
  const folder = folderOf(cache, commit, file);
  await buildOnce(
    folder,
    (unfinished) => fetchFiles(hub, name, commit, file, unfinished, options),
    () => options.onProgress?.(`waiting for another process that fetches ${name}`),
  );
  return file === null ? folder : path.join(folder, file);
}

/** The current commit of a Hub model's revision. With the commit, `fetchHubModel` always downloads the same files. */
export async function findHubCommit(spec: HubSpec, options: ResolveOptions): Promise<string> {
  const { hub, cache } = placeOf(spec.hub, options);
  return await resolveRevision(hub, spec, cache);
}

/** Each GGUF file of a repository is a model with a separate folder. */
const folderOf = (cache: string, commit: string, file: string | null) =>
  path.join(cache, file === null ? commit : `${commit}-${file}`);

function placeOf(name: string, options: ResolveOptions): { hub: HubConnection; cache: string } {
  if (!namePattern.test(name) || name.includes('..')) {
    throw new GraftError('invalid_model', `"${name}" is not a Hub id of the form organisation/name`, {
      param: 'model',
    });
  }
  const cache = path.join(options.cacheDir, 'models', 'hub', name.replace('/', '--'));
  return { hub: connectToHub(name, options.env), cache };
}

/** The current commit of a revision, or the last known one if the Hub is unreachable. */
async function resolveRevision(hub: HubConnection, spec: HubSpec, cache: string): Promise<string> {
  const { hub: name, revision = 'main', file = null } = spec;
  if (commitPattern.test(revision)) return revision;
  const note = path.join(cache, 'refs', encodeURIComponent(revision));
  try {
    const url = `${hub.endpoint}/api/models/${name}/revision/${encodeURIComponent(revision)}`;
    const { sha } = (await (await hub.fetch(url)).json()) as { sha?: unknown };
    if (typeof sha !== 'string' || !commitPattern.test(sha))
      throw unavailable(`${hub.endpoint} named no commit of ${name}`);
    await mkdir(path.dirname(note), { recursive: true });
    const partial = `${note}.${randomUUID()}`;
    await writeFile(partial, sha);
    await rename(partial, note);
    return sha;
  } catch (error) {
    const known = await readFile(note, 'utf8').catch(() => '');
    const away = error instanceof GraftError && error.code === 'base_model_unavailable';
    const isKnown = away && commitPattern.test(known);
    if (isKnown && (await fileSize(folderOf(cache, known, file))) !== null) return known;
    throw error;
  }
}

async function fetchFiles(
  hub: HubConnection,
  name: string,
  commit: string,
  ggufFile: string | null,
  folder: string,
  options: ResolveOptions,
): Promise<void> {
  const files = chooseFiles(name, await listHubFiles(hub, { type: 'model', name }, commit), ggufFile);
  const total = files.reduce((sum, { size }) => sum + size, 0);
  options.onFiles?.(files);
  await checkSpace(folder, name, files, options.minFreeBytes);
  const progress = new TransferProgress(`fetching ${name}`, total, options.onProgress ?? (() => {}));
  // Small files come first, so that an unreadable model is detected before its weights are downloaded.
  for (const file of files) {
    const target = path.join(folder, file.path);
    if ((await fileSize(target)) === file.size) {
      progress.resume(file.size);
      options.onBytes?.(file.size);
      continue;
    }
    let begun = false;
    await mkdir(path.dirname(target), { recursive: true });
    await downloadFile({
      url: modelFileUrl(hub, name, commit, file.path),
      target,
      file,
      hub,
      signal: options.signal,
      ...(options.retryDelay === undefined ? {} : { retryDelay: options.retryDelay }),
      onBytes: (bytes) => {
        if (begun) progress.add(bytes);
        else progress.resume(bytes);
        begun = true;
        options.onBytes?.(bytes);
      },
    });
  }
}
