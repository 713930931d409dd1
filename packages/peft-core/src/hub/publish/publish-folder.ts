import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GraftError } from '../../errors.ts';
import { hashFile } from '../../sha256.ts';
import { reasonOf } from '../hub-connection.ts';
import { FilePart } from './file-part.ts';

export interface PublishOptions {
  /** `owner/name` of a model repository. It is created if it does not exist. */
  repository: string;
  /** Create a public repository, or allow one that is public already. */
  isPublic: boolean;
  /** Title of the commit. */
  title: string;
  /** Texts of further files by path, in place of the folder's files of the same path. */
  texts?: ReadonlyMap<string, string>;
  /** Where and with which token. Default: HF_ENDPOINT and HF_TOKEN, as in Hugging Face's own tools. */
  hub?: HubAccess;
  env?: NodeJS.ProcessEnv;
  /** Maximum number of attempts while the Hub is unavailable. */
  attempts?: number;
  /** Milliseconds before the second attempt; doubles with each further one. */
  retryDelay?: number;
  signal?: AbortSignal;
  /** Awaited before the repository is created, before files are sent, and before the commit: nothing more is sent if it rejects. */
  confirm?: () => Promise<void>;
}

export interface HubAccess {
  endpoint: string;
  token: string;
  /** Name of the token in messages. */
  tokenName: string;
  /** Makes all connections; errors without a status count as a Hub that cannot be reached. */
  fetch: typeof fetch;
}

export interface PublishedFolder {
  commit: string;
  url: string;
  /** Number of files that the commit added or changed; 0: the repository already had all of them, so there is no new commit. */
  changed: number;
  bytes: number;
}

interface LocalFile {
  path: string;
  from: { file: string } | { content: Uint8Array<ArrayBuffer> };
  size: number;
}

const maxFiles = 1000;

/** The Hub of HF_ENDPOINT. */
export const hubEndpoint = (endpoint: string | undefined): string =>
  (endpoint || 'https://huggingface.co').replace(/\/+$/, '');

/**
 * Uploads a folder to a model repository of the Hugging Face Hub as one commit, so that no reader sees a part of it. Large files that arrived
 * in an earlier attempt are not sent again, and a repeated call with the same files makes no second commit, not even a concurrent one: a
 * commit names the one that its files were compared with. Other files of the repository remain. Tries again when the Hub is unavailable.
 * Throws GraftError `invalid_repository`, `invalid_folder`, `hub_token_missing`, `hub_refused`, `repository_public`, `hub_unavailable`,
 * `folder_unreadable`.
 */
export async function publishFolder(folder: string, options: PublishOptions): Promise<PublishedFolder> {
  const { repository, env = process.env, attempts = 4, retryDelay = 1_000, signal } = options;
  checkRepositoryName(repository);
  const access = options.hub ?? accessOf(env);
  const texts = [...(options.texts ?? [])].map(([path, text]): LocalFile => {
    const content = new TextEncoder().encode(text);
    return { path, from: { content }, size: content.byteLength };
  });
  const given = (await listFolder(folder)).filter(({ path }) => !options.texts?.has(path));
  const files = [...given, ...texts].sort((a, b) => (a.path < b.path ? -1 : 1));
  const hub = { ...access, fetch: fetchWithToken(access, signal) };
  for (let attempt = 1; ; attempt++) {
    try {
      return await publish(hub, files, options);
    } catch (error) {
      signal?.throwIfAborted();
      const fault = explain(error, repository, access);
      if (fault.code !== 'hub_unavailable' || attempt >= attempts) throw fault;
      await sleep(retryDelay * 2 ** (attempt - 1), undefined, signal && { signal });
    }
  }
}

function accessOf(env: NodeJS.ProcessEnv): HubAccess {
  if (!env.HF_TOKEN)
    throw new GraftError(
      'hub_token_missing',
      'HF_TOKEN is not set: set it to a token of the Hub that may write.',
    );
  return { endpoint: hubEndpoint(env.HF_ENDPOINT), token: env.HF_TOKEN, tokenName: 'HF_TOKEN', fetch };
}

/** Throws GraftError `invalid_repository` unless it is a name that the Hub permits. */
export function checkRepositoryName(repository: string): void {
  const [owner = '', name = '', ...rest] = repository.split('/');
  const isPart = (part: string) =>
    /^[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9_])?$/.test(part) &&
    !/--|\.\./.test(part) &&
    !part.endsWith('.git');
  if (rest.length > 0 || !isPart(owner) || !isPart(name))
    throw new GraftError(
      'invalid_repository',
      `${JSON.stringify(repository.slice(0, 200))} is no name of a repository: give owner/name, each of at most 96 letters, digits, "-", "_" and ".".`,
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
    files.push({ path: name, from: { file }, size: (await stat(file)).size });
  }
  if (files.length === 0) throw invalid('has no files');
  if (files.length > maxFiles) throw invalid(`has more than ${maxFiles} files`);
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function publish(
  hub: HubAccess,
  files: LocalFile[],
  { repository, isPublic, title, signal, confirm = async () => {} }: PublishOptions,
): Promise<PublishedFolder> {
  const { createRepo, uploadFiles } = await import('@huggingface/hub');
  const to = { repo: { type: 'model', name: repository }, hubUrl: hub.endpoint, fetch: hub.fetch } as const;
  const own = [`${hub.endpoint}/api/models/${repository}/`, `${hub.endpoint}/${repository}.git/`];
  const commits = `${own[0]}commit/`;
  let before = await readRepository(hub, repository);
  // The token is added by `fetch`, so that it goes to the Hub's origin alone.
  if (!before) {
    await confirm();
    await createRepo({ ...to, visibility: isPublic ? 'public' : 'private', credentials: undefined as never });
    before = await readRepository(hub, repository);
  }
  if (!before) throw new StatusError(404);
  if (!before.private && !isPublic)
    throw new GraftError(
      'repository_public',
      `${repository} is public, so everybody could read the files: allow that, or name another repository.`,
      { param: 'repository' },
    );
  const changed = before.sha ? await differing(to, files) : files;
  const bytes = changed.reduce((sum, { size }) => sum + size, 0);
  const urlOf = (commit: string) => `${hub.endpoint}/${repository}/commit/${commit}`;
  if (changed.length === 0) return { commit: before.sha!, url: urlOf(before.sha!), changed: 0, bytes };
  await confirm();
  const made = await uploadFiles({
    ...to,
    fetch: async (url, init) => {
      const address = String(url);
      // The upload may have taken hours.
      if (address.startsWith(commits)) await confirm();
      const response = await hub.fetch(url, init);
      if (response.ok || own.some((start) => address.startsWith(start))) return response;
      await response.body?.cancel();
      throw new StorageError(response.status);
    },
    files: changed.map(({ path, from, size }) => ({
      path,
      content: 'file' in from ? new FilePart(from.file, 0, size) : new Blob([from.content]),
    })),
    commitTitle: title,
    // The Hub refuses the commit if there is another one since, for example of a call whose answer was lost.
    ...(before.sha && { parentCommit: before.sha }),
    useXet: false,
    ...(signal && { abortSignal: signal }),
  });
  const commit: unknown = made?.commit.oid;
  // The next attempt finds the files there.
  if (!isCommit(commit)) throw new AnswerError('the answer names no commit');
  return { commit, url: urlOf(commit), changed: changed.length, bytes };
}

const isCommit = (value: unknown): value is string =>
  typeof value === 'string' && /^[0-9a-f]{40,64}$/.test(value);

/** Null: it does not exist, as far as this token may know. */
async function readRepository(
  { endpoint, fetch }: HubAccess,
  repository: string,
): Promise<{ private: boolean; sha: string | null } | null> {
  const response = await fetch(`${endpoint}/api/models/${repository}`);
  if (response.ok) {
    const found = (await response.json()) as { private?: unknown; sha?: unknown } | null;
    // Whatever is not certainly private counts as public.
    return { private: found?.private === true, sha: isCommit(found?.sha) ? found.sha : null };
  }
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
    const digest = size !== local.size ? null : entry?.lfs ? await sha256Of(local) : await gitBlobId(local);
    if (digest === null || digest !== (entry?.lfs?.oid ?? entry?.oid)) changed.push(local);
  }
  return changed;
}

async function sha256Of({ from }: LocalFile): Promise<string> {
  if ('file' in from) return await hashFile(from.file);
  return createHash('sha256').update(from.content).digest('hex');
}

/** Git's name for the content of a file. */
async function gitBlobId({ from, size }: LocalFile): Promise<string> {
  const hash = createHash('sha1').update(`blob ${size}\0`);
  if ('content' in from) return hash.update(from.content).digest('hex');
  for await (const chunk of createReadStream(from.file)) hash.update(chunk);
  return hash.digest('hex');
}

/** A fetch that sends the token only to the Hub's origin: large files go to another. */
function fetchWithToken({ endpoint, token, fetch }: HubAccess, signal?: AbortSignal): typeof fetch {
  const { origin } = new URL(endpoint);
  return async (url, init = {}) => {
    const { href, origin: to } = new URL(url instanceof Request ? url.url : url);
    const headers = new Headers(init.headers);
    if (to === origin) headers.set('authorization', `Bearer ${token}`);
    const signals = [init.signal, signal].filter((each) => each !== undefined && each !== null);
    return await fetch(href, { ...init, headers, signal: AbortSignal.any(signals) });
  };
}

class StatusError extends Error {
  readonly statusCode: number;

  constructor(statusCode: number) {
    super(`status ${statusCode}`);
    this.statusCode = statusCode;
  }
}

/**
 * An answer from one of the signed addresses that large files are sent to, on another origin or, for the end of a file in parts, on the
 * Hub's. It says nothing about repository and token: the address has expired or a body took too long, and the next attempt gets new ones.
 */
class StorageError extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`storage status ${status}`);
    this.status = status;
  }
}

/** An answer that lacks what the Hub's answers have. */
class AnswerError extends Error {}

/** Errors of reading an answer, whose messages may quote it. A TypeError of `fetch` has a cause. */
const isAnswerFault = (error: unknown): boolean =>
  error instanceof AnswerError ||
  error instanceof SyntaxError ||
  (error instanceof TypeError && !(error.cause instanceof Error));

/** Does not quote the Hub's text or the URL of a request, which may have a signature in it. */
function explain(error: unknown, repository: string, { endpoint, tokenName }: HubAccess): GraftError {
  if (error instanceof GraftError) return error;
  const { host } = new URL(endpoint);
  const { statusCode: status, code, path: file } = error as NodeJS.ErrnoException & { statusCode?: number };
  const unavailable = (why: string) =>
    new GraftError('hub_unavailable', `${host} ${why}: try again later.`, { fault: 'system', cause: error });
  const refused = (why: string) =>
    new GraftError('hub_refused', `${host} answered ${status} for ${repository}: ${why}.`, {
      param: 'repository',
      cause: error,
    });
  if (error instanceof StorageError)
    return unavailable(`has a storage of large files that answered ${error.status}`);
  // Errors of the file system name a path, those of connections do not.
  if (status === undefined && file !== undefined)
    return new GraftError('folder_unreadable', `A file cannot be read from the disk (${code}): try again.`, {
      fault: 'environment',
      cause: error,
    });
  if (isAnswerFault(error)) return unavailable('sent an answer that is not one of the Hub');
  if (status === undefined) return unavailable(`cannot be reached (${reasonOf(error)})`);
  if (status >= 500 || status === 408 || status === 429) return unavailable(`answered ${status}`);
  if (status < 400) return refused('the repository has another name by now; give that one');
  if (status === 412) return unavailable(`has another commit of ${repository} meanwhile`);
  if (status === 401)
    return refused(`${tokenName} is not, or no longer, valid; make a new one that may write`);
  if (status === 403)
    return refused(
      `${tokenName} may not write there; give it the right to write to this repository or its owner`,
    );
  if (status === 404) return refused(`it or its owner does not exist, or ${tokenName} may not see it`);
  if (status === 409)
    return refused(
      `a repository with this name exists that ${tokenName} may not see, or it is changing; choose another name`,
    );
  return refused('it does not accept this name or these files');
}
