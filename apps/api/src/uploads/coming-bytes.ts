import type { FastifyRequest } from 'fastify';

/** What multipart/form-data may have besides its files: names, fields, boundaries. */
const mostOverhead = 64 * 1024;

/** Bytes that the files of a multipart body have at least; 1 where its length is not announced. */
export function comingBytes({ headers }: Pick<FastifyRequest, 'headers'>): number {
  return Math.max(1, Number(headers['content-length'] ?? 0) - mostOverhead);
}
