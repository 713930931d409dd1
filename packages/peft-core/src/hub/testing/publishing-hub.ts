import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Repository {
  private: boolean;
  /** Newest last. */
  commits: { sha: string; title: string; files: Map<string, { content: Buffer; lfs: boolean }> }[];
}

/** Larger files must be sent to the storage of large files, and those over `partBytes` in parts. */
const largeBytes = 1000;
const partBytes = 100_000;

/** The Hub's protocol of publishing, and a storage of large files on another origin, to which the token must not be sent. */
export class PublishingHub {
  readonly repositories = new Map<string, Repository>();
  readonly stored = new Map<string, Buffer>();
  /** The owners that each token may write to. */
  readonly tokens = new Map<string, string[]>();
  /** Method and path of each request to the Hub; `puts` counts those to the storage. */
  readonly requests: string[] = [];
  puts = 0;
  /** Uploads whose connection is cut half-way. */
  cutUploads = 0;
  /** Statuses with which the storage refuses the next uploads, as S3 does when a signed address has expired (403) or a body is slow (400). */
  readonly storageFaults: number[] = [];
  /** Statuses with which the Hub refuses to complete the next files in parts. */
  readonly completionFaults: number[] = [];
  /** Statuses that replace the answers to the next commits. */
  readonly commitFaults: number[] = [];
  /** Bodies that replace the answers to the next requests, with status 200. */
  readonly oddAnswers: string[] = [];
  /** Resolves before each commit: tests wait here. */
  beforeCommit: () => Promise<void> = async () => {};
  /** Resolves after each upload has arrived at the storage, before its answer. */
  afterUpload: () => Promise<void> = async () => {};
  /** Commits that are made, but whose answer is lost. */
  lostAnswers = 0;
  /** Set if the storage received the token. */
  leaked = false;
  endpoint = '';
  #storage = '';
  readonly #servers: Server[] = [];
  readonly #parts = new Map<string, Map<number, Buffer>>();

  static async start(): Promise<PublishingHub> {
    const hub = new PublishingHub();
    hub.#storage = await hub.#listen((request, response) => hub.#serveStorage(request, response));
    hub.endpoint = await hub.#listen((request, response) => hub.#serveHub(request, response));
    return hub;
  }

  /** Forgets everything: tests share a server. */
  reset(): void {
    this.repositories.clear();
    this.stored.clear();
    this.tokens.clear();
    this.requests.length = 0;
    this.commitFaults.length = 0;
    this.storageFaults.length = 0;
    this.oddAnswers.length = 0;
    this.completionFaults.length = 0;
    this.puts = 0;
    this.cutUploads = 0;
    this.lostAnswers = 0;
    this.beforeCommit = async () => {};
    this.afterUpload = async () => {};
  }

  stop(): void {
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
  }

  async #listen(
    handle: (request: IncomingMessage, response: ServerResponse) => Promise<undefined>,
  ): Promise<string> {
    const server = createServer((request, response) => {
      handle(request, response).catch(() => response.destroy());
    });
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async #serveHub(request: IncomingMessage, response: ServerResponse): Promise<undefined> {
    const { pathname } = new URL(request.url!, this.endpoint);
    this.requests.push(`${request.method} ${pathname}`);
    const body = (await read(request)).toString();
    const odd = this.oddAnswers.shift();
    if (odd !== undefined) {
      response.writeHead(200, { 'content-type': 'application/json' }).end(odd);
      return;
    }
    const owners = this.tokens.get(request.headers.authorization?.replace('Bearer ', '') ?? '');
    if (!owners) return answer(response, 401, { error: 'Invalid credentials' });
    if (pathname === '/api/complete_multipart') return this.#complete(request.url!, body, response);
    if (pathname === '/api/repos/create') return this.#create(JSON.parse(body), owners, response);
    const [, id = '', action = ''] =
      /^\/(?:api\/models\/)?([^/]+\/[^/]+?)(?:\.git\/info)?(?:\/(preupload|paths-info|commit)\/main|\/lfs\/objects\/(?:batch))?$/.exec(
        pathname,
      ) ?? [];
    const repository = this.repositories.get(id);
    const isOwned = owners.includes(id.split('/')[0]!);
    if (!repository || (repository.private && !isOwned)) return answer(response, 404, { error: 'Not found' });
    const head = repository.commits.at(-1);
    if (request.method === 'GET')
      return answer(response, 200, { id, private: repository.private, sha: head?.sha });
    if (action === 'paths-info') {
      const { paths } = JSON.parse(body) as { paths: string[] };
      const found = paths.flatMap((path) => {
        const file = head?.files.get(path);
        return file ? [infoOf(path, file)] : [];
      });
      return answer(response, 200, found);
    }
    if (!isOwned) return answer(response, 403, { error: 'Forbidden' });
    if (action === 'preupload') return preupload(JSON.parse(body), response);
    if (action === 'commit') {
      await this.beforeCommit();
      return this.#commit(repository, body, response);
    }
    return this.#batch(JSON.parse(body), response);
  }

  #create(
    { name, organization, visibility, type }: Record<string, string>,
    owners: string[],
    response: ServerResponse,
  ): undefined {
    const id = `${organization}/${name}`;
    if (type !== 'model') answer(response, 400, { error: 'type' });
    else if (!owners.includes(organization!)) answer(response, 403, { error: 'Forbidden' });
    else if (this.repositories.has(id))
      answer(response, 409, { error: 'You already created this model repo' });
    else {
      const start = { sha: randomBytes(20).toString('hex'), title: 'initial commit', files: new Map() };
      this.repositories.set(id, { private: visibility === 'private', commits: [start] });
      answer(response, 200, { url: `${this.endpoint}/${id}`, id });
    }
  }

  #batch(
    { operation, objects }: { operation: string; objects: { oid: string; size: number }[] },
    response: ServerResponse,
  ): undefined {
    if (operation !== 'upload') return answer(response, 400, { error: 'operation' });
    const answered = objects.map(({ oid, size }) => {
      if (this.stored.has(oid)) return { oid, size };
      const href = `${this.#storage}/${oid}`;
      if (size <= partBytes) return { oid, size, actions: { upload: { href } } };
      const numbers = Array.from({ length: Math.ceil(size / partBytes) }, (_, i) => i + 1);
      const parts = numbers.map((number) => [String(number).padStart(5, '0'), `${href}/${number}`]);
      const header = Object.fromEntries([['chunk_size', String(partBytes)]].concat(parts));
      const completion = `${this.endpoint}/api/complete_multipart?prefix=${oid}&signature=x`;
      return { oid, size, actions: { upload: { href: completion, header } } };
    });
    answer(response, 200, { transfer: 'basic', objects: answered });
  }

  /** All or nothing, as one commit. */
  #commit(repository: Repository, body: string, response: ServerResponse): undefined {
    const fault = this.commitFaults.shift();
    if (fault) return answer(response, fault, { error: 'Fault' });
    const lines = body.split('\n').map((line) => JSON.parse(line));
    const [header, ...operations] = lines as { key: string; value: Record<string, string> }[];
    if (header?.key !== 'header' || !header.value.summary) return answer(response, 400, { error: 'header' });
    const { parentCommit } = header.value;
    if (parentCommit && parentCommit !== repository.commits.at(-1)?.sha)
      return answer(response, 412, { error: 'A commit has happened since. Please refresh and try again.' });
    const files = new Map(repository.commits.at(-1)?.files);
    for (const { key, value } of operations) {
      if (key === 'lfsFile') {
        const content = this.stored.get(value.oid!);
        if (content?.byteLength !== Number(value.size))
          return answer(response, 400, { error: 'lfs object missing' });
        files.set(value.path!, { content, lfs: true });
      } else if (key === 'file' && value.encoding === 'base64') {
        files.set(value.path!, { content: Buffer.from(value.content!, 'base64'), lfs: false });
      } else return answer(response, 400, { error: key });
    }
    const sha = randomBytes(20).toString('hex');
    repository.commits.push({ sha, title: header.value.summary, files });
    if (this.lostAnswers-- > 0) response.destroy();
    else
      answer(response, 200, { success: true, commitOid: sha, commitUrl: `${this.endpoint}/commit/${sha}` });
  }

  async #serveStorage(request: IncomingMessage, response: ServerResponse): Promise<undefined> {
    this.leaked ||= request.headers.authorization !== undefined;
    const [, oid = '', part] = request.url!.split('/');
    if (request.method === 'PUT') this.puts++;
    if (request.method === 'PUT' && this.cutUploads > 0) {
      this.cutUploads--;
      request.once('data', () => request.destroy());
      return;
    }
    const body = await read(request);
    if (request.method === 'PUT') await this.afterUpload();
    const fault = request.method === 'PUT' ? this.storageFaults.shift() : undefined;
    if (fault) {
      response.writeHead(fault, { 'content-type': 'application/xml' }).end(storageFault);
      return;
    }
    if (part) {
      const parts = this.#parts.get(oid) ?? new Map<number, Buffer>();
      this.#parts.set(oid, parts);
      parts.set(Number(part), body);
      response.writeHead(200, { etag: etagOf(body) }).end();
      return;
    }
    return this.#store(oid, body, response);
  }

  /** The end of a file in parts, at a signed address of the Hub. */
  #complete(url: string, body: string, response: ServerResponse): undefined {
    const fault = this.completionFaults.shift();
    if (fault) return answer(response, fault, { error: 'The signature has expired' });
    const oid = new URL(url, this.endpoint).searchParams.get('prefix') ?? '';
    const parts = this.#parts.get(oid) ?? new Map<number, Buffer>();
    const named = (JSON.parse(body) as { parts: { partNumber: number; etag: string }[] }).parts;
    const found = named.map(({ partNumber, etag }) => {
      const part = parts.get(partNumber);
      return part && etag === etagOf(part) ? [part] : [];
    });
    if (found.some((each) => each.length === 0)) return answer(response, 400, { error: 'parts' });
    return this.#store(oid, Buffer.concat(found.flat()), response);
  }

  #store(oid: string, content: Buffer, response: ServerResponse): undefined {
    if (createHash('sha256').update(content).digest('hex') !== oid)
      return answer(response, 400, { error: 'digest' });
    this.stored.set(oid, content);
    return answer(response, 200, {});
  }
}

const etagOf = (part: Buffer): string => `"${createHash('md5').update(part).digest('hex')}"`;

const storageFault =
  '<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>';

function preupload(
  { files }: { files: { path: string; size: number; sample: string }[] },
  response: ServerResponse,
): undefined {
  const isOdd = files.some(
    ({ size, sample }) => Buffer.from(sample, 'base64').byteLength !== Math.min(size, 512),
  );
  if (isOdd) return answer(response, 400, { error: 'sample' });
  const modes = files.map(({ path, size }) => ({
    path,
    uploadMode: size > largeBytes ? 'lfs' : 'regular',
    shouldIgnore: false,
  }));
  answer(response, 200, { files: modes });
}

function infoOf(path: string, { content, lfs }: { content: Buffer; lfs: boolean }): object {
  const size = content.byteLength;
  const oid = createHash('sha1').update(`blob ${size}\0`).update(content).digest('hex');
  const sha256 = createHash('sha256').update(content).digest('hex');
  return { type: 'file', path, size, oid, ...(lfs && { lfs: { oid: sha256, size, pointerSize: 134 } }) };
}

async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function answer(response: ServerResponse, status: number, value: unknown): undefined {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}
