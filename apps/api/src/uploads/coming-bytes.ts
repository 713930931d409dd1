import type { FastifyRequest } from 'fastify';

/** Maximum bytes of multipart/form-data besides its files: names, fields, boundaries. */
const maxOverhead = 64 * 1024;

/** Minimum bytes of the files in a multipart body; 0 if its length is unknown or small. */
export function comingBytes({ headers }: Pick<FastifyRequest, 'headers'>): number {
  return Math.max(0, Number(headers['content-length'] ?? 0) - maxOverhead);
}
