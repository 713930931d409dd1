import type { FastifyRequest } from 'fastify';

/** What multipart/form-data may have besides its files: names, fields, boundaries. */
const mostOverhead = 64 * 1024;

/** The fewest bytes that the files of a multipart body can have; 0 where its length is unknown or small. */
export function comingBytes({ headers }: Pick<FastifyRequest, 'headers'>): number {
  return Math.max(0, Number(headers['content-length'] ?? 0) - mostOverhead);
}
