import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import { type Egress, EgressError, explainConnection, noAnswer, pinAddresses } from './post-pinned.ts';
import { hostOf } from './team-url.ts';

/** Maximum size of a response body, in bytes: answers of an API, not files. */
const maxAnswerBytes = 4 * 1024 * 1024;

/**
 * A fetch for bodies of any size to servers that `egress` allows: every address is checked and connected to as in `requestPinned`, and
 * redirects are returned, not followed. The body is streamed, the answer is not. A connection on which nothing moves for `idleMs` ends. Rejects with EgressError,
 * or with the error of reading the body.
 */
export function createPinnedFetch(egress: Egress, { idleMs }: { idleMs: number }): typeof fetch {
  return async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const signal = init.signal ?? undefined;
    signal?.throwIfAborted();
    const lookup = await pinAddresses(url, egress);
    const body = bodyOf(init.body);
    const headers = Object.fromEntries(new Headers(init.headers));
    const { request } = url.protocol === 'https:' ? https : http;
    return await new Promise<Response>((resolve, reject) => {
      // The error of reading the body is the cause of any others.
      let bodyFault: unknown;
      const sent = request({
        protocol: url.protocol,
        host: hostOf(url),
        port: url.port || null,
        path: url.pathname + url.search,
        method: init.method ?? 'GET',
        headers: { ...headers, host: url.host, 'content-length': body.size },
        lookup,
        agent: false,
        ...(signal && { signal }),
        maxHeaderSize: 64 * 1024,
        insecureHTTPParser: false,
        ...(url.protocol === 'https:' && { rejectUnauthorized: true }),
      });
      const end = (why: string) => sent.destroy(noAnswer(egress.rules, why));
      const connecting = setTimeout(() => end('The receiver took too long to connect to.'), egress.connectMs);
      sent.setTimeout(idleMs, () => end('The receiver took too long to answer.'));
      sent.on('socket', (socket: Socket) =>
        socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => clearTimeout(connecting)),
      );
      sent.on('error', (error) => {
        clearTimeout(connecting);
        reject(signal?.aborted ? signal.reason : (bodyFault ?? explainConnection(error, egress.rules)));
      });
      sent.on('upgrade', () => end('The receiver wants another protocol.'));
      let isAnswered = false;
      sent.on('response', (response) => {
        isAnswered = true;
        clearTimeout(connecting);
        const status = response.statusCode ?? 0;
        // `Response` accepts no others, and the Hub sends none.
        if (status < 200 || status > 599)
          return sent.destroy(new EgressError(`The receiver answered ${status}.`));
        responseOf(response, status)
          .catch((error: Error) => {
            throw signal?.aborted ? signal.reason : explainConnection(error, egress.rules);
          })
          .then(resolve, reject);
      });
      pipeline(body.stream(), sent).catch((error: NodeJS.ErrnoException) => {
        // An error of the file system; others are those of the connection, which `error` reports.
        if (error.path !== undefined) bodyFault = error;
        // A server may refuse a body before it has read all of it; its answer is then read.
        if (!isAnswered || bodyFault) sent.destroy(error);
      });
    });
  };
}

function bodyOf(body: RequestInit['body']): { size: number; stream(): Readable } {
  if (body instanceof Blob)
    // Files as Blobs read themselves piece by piece.
    return { size: body.size, stream: () => Readable.fromWeb(body.stream() as NodeReadableStream) };
  if (body !== undefined && body !== null && typeof body !== 'string')
    throw new TypeError('a body must be text or a Blob');
  const bytes = Buffer.from(body ?? '');
  return { size: bytes.byteLength, stream: () => Readable.from(bytes.byteLength > 0 ? [bytes] : []) };
}

/**
 * Reads the whole answer: a `Response` over a stream of Node cannot be cancelled safely in Node 20 (`Readable.toWeb` throws from an event
 * handler). Rejects with EgressError if it is too long or breaks off.
 */
async function responseOf(response: IncomingMessage, status: number): Promise<Response> {
  const headers = new Headers();
  for (const [name, value] of Object.entries(response.headers))
    for (const each of [value ?? []].flat()) headers.append(name, each);
  const chunks: Buffer[] = [];
  let received = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    received += chunk.byteLength;
    if (received > maxAnswerBytes) throw new EgressError('The receiver answers with too much.');
    chunks.push(chunk);
  }
  const hasBody = status !== 204 && status !== 205 && status !== 304;
  return new Response(hasBody ? Buffer.concat(chunks) : null, { status, headers });
}
