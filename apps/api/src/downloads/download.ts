import { Readable } from 'node:stream';
import { type AuditedDownload, createDownloadAudit } from '@graft/service/audit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';
import { hasCurrent } from './entity-tags.ts';

declare module 'fastify' {
  interface FastifyInstance {
    auditDownload: ReturnType<typeof createDownloadAudit>;
  }
}

/** Records downloads in the audit log. */
export const downloads = fp(async (app) => {
  app.decorate('auditDownload', createDownloadAudit(app.services));
});

/** Immutable bytes that can be sent whole or in part. */
export interface Download {
  filename: string;
  contentType: string;
  bytes: number;
  /** Hexadecimal SHA-256 of all bytes. */
  sha256: string;
  /** The bytes from `start` to `end` (exclusive). Rejects before the first byte if the content does not match `sha256`. */
  read(start: number, end: number): Promise<AsyncIterable<Buffer>>;
}

/**
 * Responds to GET and HEAD: digest, length, ETag (If-None-Match → 304), one Range (If-Range) → 206 or 416. The audit log has an entry of
 * `of` before the first byte is sent; without it, for example while Postgres is read-only, nothing is sent.
 */
export async function sendDownload(
  request: FastifyRequest,
  reply: FastifyReply,
  download: Download,
  of: Pick<AuditedDownload, 'action' | 'target'> & { path?: string | null },
): Promise<FastifyReply> {
  const { bytes, sha256 } = download;
  const etag = `"sha256-${sha256}"`;
  const headers = {
    etag,
    'accept-ranges': 'bytes',
    // Private, because the content belongs to the team. Revalidation by ETag is cheap.
    'cache-control': 'private, no-cache',
  };
  if (hasCurrent(request.headers['if-none-match'], etag)) return reply.code(304).headers(headers).send();

  const ifRange = request.headers['if-range'];
  const asked = ifRange === undefined || ifRange === etag ? request.headers.range : undefined;
  const range = parseRange(asked, bytes);
  if (range === 'unsatisfiable') {
    throw new ApiError('range_not_satisfiable', `The range lies outside the ${bytes} bytes.`, {
      headers: { 'content-range': `bytes */${bytes}` },
    });
  }
  const { start, end } = range ?? { start: 0, end: bytes };
  const isEmpty = request.method === 'HEAD' || start === end;
  if (!isEmpty) {
    const { caller } = request;
    await request.server.auditDownload(caller.teamId, caller, { path: null, ...of, bytes, sha256 });
  }
  // The store may be on a slow disk or network.
  reply.endTurn();
  // An empty stream for HEAD: without a stream Fastify would send a length of 0.
  const body = isEmpty ? [] : await download.read(start, end);
  if (range) reply.code(206).header('content-range', `bytes ${start}-${end - 1}/${bytes}`);
  reply.headers({
    ...headers,
    'content-type': download.contentType,
    'content-length': end - start,
    'content-disposition': `attachment; filename="${asciiName(download.filename)}"; filename*=UTF-8''${encodeName(download.filename)}`,
    // Digest of all bytes, even if only a part is sent (RFC 9530), and again in hexadecimal for sha256sum.
    'repr-digest': `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`,
    'x-content-sha256': sha256,
  });
  return reply.send(Readable.from(body, { objectMode: false }));
}

function asciiName(name: string): string {
  return name.replaceAll(/[^\x20-\x7e]|["\\]/g, '_');
}

/** Encodes a name as in RFC 8187. `name` was received as UTF-8 and so contains no lone surrogates. */
function encodeName(name: string): string {
  return encodeURIComponent(name).replaceAll(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** Part of a resource, from `start` to `end` (exclusive). */
interface ByteRange {
  start: number;
  end: number;
}

/**
 * Parses the single range of a Range header for a resource of `bytes` bytes. Null: send everything (no header, another unit, several
 * ranges, or an invalid range; RFC 9110 allows a server to ignore those).
 */
export function parseRange(header: string | undefined, bytes: number): ByteRange | 'unsatisfiable' | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.replaceAll(' ', '') ?? '');
  if (!match) return null;
  const [, first = '', last = ''] = match;
  if (first === '' && last === '') return null;
  if (first === '') {
    const length = Math.min(Number(last), bytes);
    return length === 0 ? 'unsatisfiable' : { start: bytes - length, end: bytes };
  }
  const start = Number(first);
  const end = last === '' ? bytes : Math.min(Number(last) + 1, bytes);
  if (last !== '' && Number(last) < start) return null;
  return start >= bytes ? 'unsatisfiable' : { start, end };
}
