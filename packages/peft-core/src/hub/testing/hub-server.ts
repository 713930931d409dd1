import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const commit = 'c0ffee'.repeat(6).padEnd(40, '0');

export interface HubRequest {
  path: string;
  authorization: string | undefined;
  range: string | undefined;
}

/** A server with the Hub's layout, and a second one that it redirects large files to, as the Hub does. */
export class HubServer {
  readonly files = new Map<string, Buffer>();
  /** All requests received; `cdn` has those for the content of large files. */
  readonly hub: HubRequest[] = [];
  readonly cdn: HubRequest[] = [];
  /** Requests without this token are refused. */
  token: string | null = null;
  /** A refusal that replaces the Hub's normal response; `code` is its X-Error-Code. */
  refusal: { status: number; code: string } | null = null;
  /** Number of bytes after which the connection is cut, for each request to the CDN in turn. */
  readonly cuts: number[] = [];
  /** Further branches, of the same commit. */
  branches: string[] = [];
  ignoreRanges = false;
  /** Changes content during the transfer. */
  corrupt = false;
  /** Bytes that the list of files adds to each size. */
  misreported = 0;
  /** Number of bytes after which the content stops and the connection stays open; null: it does not stop. */
  silentAfter: number | null = null;
  /** Large files redirect to themselves. */
  redirectsForever = false;
  /** Contents whose connections are open. */
  sending = 0;
  readonly #servers: Server[] = [];
  #cdnUrl = '';
  endpoint = '';

  static async start(): Promise<HubServer> {
    const server = new HubServer();
    server.#cdnUrl = await server.#listen((request, response) => server.#serveCdn(request, response));
    server.endpoint = await server.#listen((request, response) => server.#serveHub(request, response));
    return server;
  }

  stop(): void {
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
  }

  /** Larger files are stored in LFS. */
  isLarge = (name: string) => this.files.get(name)!.byteLength > 1000;

  async #listen(handle: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
    const server = createServer(handle);
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  #serveHub(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url!, this.endpoint);
    const { authorization, range } = request.headers;
    this.hub.push({ path: url.pathname, authorization, range });
    // Data sets have the same layout, under /datasets.
    const [, rest = ''] = url.pathname.split(`/org/name/resolve/${commit}/`);
    const name = decodeURIComponent(rest);
    const revision = /^\/api\/(?:models|datasets)\/org\/name\/revision\/(.+)$/.exec(url.pathname)?.[1];
    if (this.refusal) refuse(response, this.refusal.status, this.refusal.code);
    else if (this.token && authorization !== `Bearer ${this.token}`) refuse(response, 401, 'RepoNotFound');
    else if (revision && ['main', 'v1', commit, ...this.branches].includes(decodeURIComponent(revision)))
      answer(response, { sha: commit });
    else if (revision) refuse(response, 404, 'RevisionNotFound');
    else if (/^\/api\/(models|datasets)\/org\/name\/tree\/c0ffee/.test(url.pathname))
      this.#serveTree(url, response);
    else if (!this.files.has(name)) refuse(response, 404, 'RepoNotFound');
    else if (this.isLarge(name)) {
      const location = this.redirectsForever ? request.url : `${this.#cdnUrl}/${name}`;
      response.writeHead(302, { location }).end();
    } else this.#send(name, range, response);
  }

  /** Returns two pages, so that clients must follow the link to the next page. */
  #serveTree(url: URL, response: ServerResponse): void {
    const recursive = url.searchParams.get('recursive') === 'true';
    const listed = [...this.files].filter(([path]) => recursive || !path.includes('/'));
    const entries = listed.map(([path, content]) => {
      const size = content.byteLength + this.misreported;
      const oid = createHash('sha1').update(`blob ${size}\0`).update(content).digest('hex');
      const sha256 = createHash('sha256').update(content).digest('hex');
      const lfs = this.isLarge(path) ? { lfs: { oid: sha256, size, pointerSize: 134 } } : {};
      return { type: 'file', path, size, oid, ...lfs };
    });
    const half = Math.ceil(entries.length / 2);
    if (url.searchParams.has('cursor')) {
      answer(response, entries.slice(half));
      return;
    }
    url.searchParams.set('cursor', '2');
    const folder = { type: 'directory', path: 'onnx', size: 0, oid: '0' };
    answer(response, [folder, ...entries.slice(0, half)], { link: `<${url.href}>; rel="next"` });
  }

  #serveCdn(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url!.slice(1);
    const { authorization, range } = request.headers;
    this.cdn.push({ path, authorization, range });
    this.#send(path, range, response, this.cuts.shift());
  }

  #send(name: string, range: string | undefined, response: ServerResponse, cut?: number): void {
    const whole = this.files.get(name)!;
    const start = this.ignoreRanges ? 0 : Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    const body = Buffer.from(whole.subarray(start));
    if (this.corrupt) body[0]! ^= 1;
    const partial =
      start > 0 ? { 'content-range': `bytes ${start}-${whole.byteLength - 1}/${whole.byteLength}` } : {};
    response.writeHead(start > 0 ? 206 : 200, {
      'content-length': body.byteLength,
      'accept-ranges': 'bytes',
      ...partial,
    });
    this.sending++;
    response.once('close', () => this.sending--);
    if (this.silentAfter !== null) response.write(body.subarray(0, this.silentAfter));
    else if (cut === undefined) response.end(body);
    // When the connection breaks, a client loses the bytes that it has not read yet, so a slow client gets time to read.
    else response.write(body.subarray(0, cut), () => setTimeout(() => response.destroy(), cut > 0 ? 500 : 0));
  }
}

function answer(response: ServerResponse, value: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

function refuse(response: ServerResponse, status: number, code: string): void {
  const headers = { 'x-error-code': code, 'content-type': 'application/json' };
  response.writeHead(status, headers).end(JSON.stringify({ error: code }));
}
