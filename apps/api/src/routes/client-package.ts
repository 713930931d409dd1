import { readFile } from 'node:fs/promises';
import type { FastifyPluginAsync } from 'fastify';
import { ApiError } from '../api-error.ts';

/** The `graft` command as a package of this version, for machines without Graft's folder (docs/cli.md). Needs no key. */
export const clientPackageRoutes: FastifyPluginAsync<{ file: string }> = async (app, { file }) => {
  // About 200 kB, kept in memory, so that requests do not read the disk.
  const content = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    app.log.warn('the graft command is not packed: npm run pack:client');
    return null;
  });
  app.get('/graft-cli.tgz', { schema: { hide: true } }, async (_request, reply) => {
    if (content === null) {
      throw new ApiError(
        'client_not_packed',
        'The graft command is not packed here. Pack it with `npm run pack:client` and start the API again.',
      );
    }
    return await reply
      .type('application/gzip')
      .header('cache-control', 'no-cache')
      .header('content-disposition', 'attachment; filename="graft-cli.tgz"')
      .send(content);
  });
};
