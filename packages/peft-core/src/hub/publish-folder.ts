import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { GraftError } from '../errors.ts';
import { hashFile } from '../sha256.ts';
import { reasonOf } from './hub-connection.ts';

export interface PublishOptions {
  /** `owner/name` of a model repository. It is created if it does not exist. */
  repository: string;
  /** Create a public repository, or allow one that is public already. */
  isPublic: boolean;
  /** Title of the commit. */
  title: string;
  /** HF_ENDPOINT and HF_TOKEN, as in Hugging Face's own tools. */
  env?: NodeJS.ProcessEnv;
  /** Milliseconds before the second attempt; doubles with each further one. */
  retryDelay?: number;
  signal?: AbortSignal;
}

export interface PublishedFolder {
  /** The commit that has all files. */
  commit: string;
  url: string;
  /** Number of files that the commit added or changed; 0: the repository already had all of them, so there is no new commit. */
  changed: number;
  /** Their bytes. */
  bytes: number;
}

interface LocalFile {
  path: string;
  file: string;
  size: number;
}

const maxAttempts = 4;
const maxFiles = 1000;

/**
 * Uploads a folder to a model repository of the Hugging Face Hub as one commit, so that no reader sees a part of it. Large files that arrived
 * in an earlier attempt are not sent again, and a repeated call with the same files makes no second commit. Other files of the repository
 * remain. Tries again when the Hub is unavailable. Throws GraftError `invalid_repository`, `invalid_folder`, `hub_token_missing`,
 * `hub_refused`, `repository_public`, `hub_unavailable`.
 */
export async function publishFolder(folder: string, options: PublishOptions): Promise<PublishedFolder> {
  const { repository, env = process.env, retryDelay = 1_000, signal } = options;
  checkRepositoryName(repository);
  if (!env.HF_TOKEN)
    throw new GraftError(
      'hub_token_missing',
      'HF_TOKEN is not set: set it to a token of the Hub that may write.',
    );
  const files = await listFolder(folder);
  const endpoint = (env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, '');
  const hub = { endpoint, fetch: fetchWithToken(endpoint, env.HF_TOKEN, signal) };
  for (let attempt = 1; ; attempt++) {
    try {
      return await publish(hub, files, options);
    } catch (error) {
      signal?.throwIfAborted();
      const fault = explain(error, repository, endpoint);
      if (fault.code !== 'hub_unavailable' || attempt === maxAttempts) throw fault;
      await sleep(retryDelay * 2 ** (attempt - 1), undefined, signal && { signal });
    }
  }
}

/** Throws GraftError `invalid_repository` unless it is a name that the Hub permits. */
function checkRepositoryName(repository: string): void {
  const [owner = '', name = '', ...rest] = repository.split('/');
  const isPart = (part: string) =>
    /^[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9_])?$/.test(part) &&
    !/--|\.\./.test(part) &&
    !part.endsWith('.git');
  if (rest.length > 0 || !isPart(owner) || !isPart(name))
    throw new GraftError(
      'invalid_repository',
      `${JSON.stringify(repository)} is no name of a repository: give owner/name, each of at most 96 letters, digits, "-", "_" and ".".`,
      { param: 'repository' },
    );
}

/** All files below a folder, in order. Throws GraftError `invalid_folder`. */
async function listFolder(folder: string): Promise<LocalFile[]> {
  const invalid = (why: string) => new GraftError('invalid_folder', `${folder} ${why}.`, { param: 'folder' });
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => {
    throw invalid('is not a folder that can be read');
  });
  const files: LocalFile[] = [];
  for (const entry of entries) {
    if (entry.isDirectory()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const name = path.relative(folder, file).split(path.sep).join('/');
    // A link may lead to a file that nobody means to publish.
    if (!entry.isFile()) throw invalid(`has ${name}, which is a link or no file: copy the file there`);
    if (name.split('/').some((part) => part.startsWith('.')))
      throw invalid(`has the hidden file ${name}: remove it, since it may be private`);
    files.push({ path: name, file, size: (await stat(file)).size });
  }
  if (files.length === 0) throw invalid('has no files');
  if (files.length > maxFiles) throw invalid(`has more than ${maxFiles} files`);
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

interface Hub {
  endpoint: string;
  fetch: typeof fetch;
}

async function publish(
  hub: Hub,
  files: LocalFile[],
  { repository, isPublic, title, signal }: PublishOptions,
): Promise<PublishedFolder> {
  const { createRepo, uploadFiles } = await import('@huggingface/hub');
  const to = { repo: { type: 'model', name: repository }, hubUrl: hub.endpoint, fetch: hub.fetch } as const;
  const before = await readRepository(hub, repository);
  if (before && !before.private && !isPublic)
    throw new GraftError(
      'repository_public',
      `${repository} is public, so everybody could read the files: allow that, or name another repository.`,
      { param: 'repository' },
    );
  // The token is added by `fetch`, so that it goes to the Hub's origin alone.
  if (!before)
    await createRepo({ ...to, visibility: isPublic ? 'public' : 'private', credentials: undefined as never });
  const changed = before?.sha ? await differing(to, files) : files;
  const bytes = changed.reduce((sum, { size }) => sum + size, 0);
  const urlOf = (commit: string) => `${hub.endpoint}/${repository}/commit/${commit}`;
  if (changed.length === 0) return { commit: before!.sha!, url: urlOf(before!.sha!), changed: 0, bytes };
  const made = await uploadFiles({
    ...to,
    files: changed.map(({ path, file }) => ({ path, content: pathToFileURL(file) })),
    commitTitle: title,
    useXet: false,
    ...(signal && { abortSignal: signal }),
  });
  const commit = made!.commit.oid;
  return { commit, url: urlOf(commit), changed: changed.length, bytes };
}

/** Null: it does not exist, as far as this token may know. */
async function readRepository(
  { endpoint, fetch }: Hub,
  repository: string,
): Promise<{ private: boolean; sha?: string } | null> {
  const response = await fetch(`${endpoint}/api/models/${repository}`);
  if (response.ok) return (await response.json()) as { private: boolean; sha?: string };
  await response.body?.cancel();
  if (response.status === 404) return null;
  throw new StatusError(response.status);
}

/** The files that the repository does not have with the same content. */
async function differing(
  to: { repo: { type: 'model'; name: string }; hubUrl: string; fetch: typeof fetch },
  files: LocalFile[],
): Promise<LocalFile[]> {
  const { pathsInfo } = await import('@huggingface/hub');
  const known = await pathsInfo({ ...to, paths: files.map((file) => file.path) });
  const remote = new Map(known.map((entry) => [entry.path, entry]));
  const changed: LocalFile[] = [];
  for (const local of files) {
    const entry = remote.get(local.path);
    const size = entry?.lfs?.size ?? entry?.size;
    const digest =
      size !== local.size ? null : entry?.lfs ? await hashFile(local.file) : await gitBlobId(local);
    if (digest === null || digest !== (entry?.lfs?.oid ?? entry?.oid)) changed.push(local);
  }
  return changed;
}

/** Git's name for the content of a file. */
async function gitBlobId({ file, size }: LocalFile): Promise<string> {
  const hash = createHash('sha1').update(`blob ${size}\0`);
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest('hex');
}

/** A fetch that sends the token only to the Hub's origin: large files go to another. */
function fetchWithToken(endpoint: string, token: string, signal?: AbortSignal): typeof fetch {
  const { origin } = new URL(endpoint);
  return async (url, init = {}) => {
    const { href, origin: to } = new URL(url instanceof Request ? url.url : url);
    const headers = new Headers(init.headers);
    if (to === origin) headers.set('authorization', `Bearer ${token}`);
    return await fetch(href, { ...init, headers, signal: init.signal ?? signal ?? null });
  };
}

class StatusError extends Error {
  readonly statusCode: number;

  constructor(statusCode: number) {
    super(`status ${statusCode}`);
    this.statusCode = statusCode;
  }
}

/** Does not quote the Hub's text or the URL of a request, which may have a signature in it. */
function explain(error: unknown, repository: string, endpoint: string): GraftError {
  if (error instanceof GraftError) return error;
  const { host } = new URL(endpoint);
  const status = (error as { statusCode?: number }).statusCode;
  const unavailable = (why: string) =>
    new GraftError(
      'hub_unavailable',
      `${host} ${why}: try again later; nothing of the folder is visible there.`,
      {
        fault: 'system',
        cause: error,
      },
    );
  const refused = (why: string) =>
    new GraftError('hub_refused', `${host} answered ${status} for ${repository}: ${why}.`, {
      param: 'repository',
      cause: error,
    });
  if (status === undefined) return unavailable(`cannot be reached (${reasonOf(error)})`);
  if (status >= 500 || status === 408 || status === 429) return unavailable(`answered ${status}`);
  if (status === 401) return refused('HF_TOKEN is not, or no longer, valid; make a new one that may write');
  if (status === 403)
    return refused(
      'HF_TOKEN may not write there; give it the right to write to this repository or its owner',
    );
  if (status === 404) return refused('it or its owner does not exist, or HF_TOKEN may not see it');
  if (status === 409)
    return refused(
      'a repository with this name exists that HF_TOKEN may not see, or it is changing; choose another name',
    );
  return refused('it does not accept these files');
}
