import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fastify from 'fastify';
import { clientPackageRoutes } from './client-package.ts';

test('the graft command is downloaded without a key, and one that is not packed is a 404 that says how', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'graft-client-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'graft-cli.tgz');
  const get = async () => {
    const app = fastify();
    await app.register(clientPackageRoutes, { file });
    const answer = await app.inject('/graft-cli.tgz');
    await app.close();
    return answer;
  };
  const missing = await get();
  assert.equal(missing.statusCode, 404);
  assert.match(missing.body, /npm run pack:client/);
  await writeFile(file, 'packed');
  const answer = await get();
  assert.deepEqual(
    [answer.statusCode, answer.headers['content-type'], answer.body],
    [200, 'application/gzip', 'packed'],
  );
});
