import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { defaultDataDir } from './admin/database/over-database.ts';
import { runGraft, temporaryFolder } from './testing/run-graft.ts';
import { wireServer } from './testing/wire-server.ts';

test("a user's verb takes address and key from .env", async (t) => {
  const server = await wireServer(t);
  const file = join(temporaryFolder(t), 'settings');
  writeFileSync(
    file,
    Object.entries(server.env)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  const ran = await runGraft(['files', 'list'], { env: { GRAFT_ENV_FILE: file } });
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /^file-1 /m);
  const missing = await runGraft(['files', 'list'], { env: { GRAFT_ENV_FILE: '/nonexistent/settings' } });
  assert.deepEqual(
    [missing.code, missing.stderr],
    [1, 'graft: No such file or folder: /nonexistent/settings.\n'],
  );
});

test('without any setting the operator works on the data of the service, whatever the folder', () => {
  assert.equal(defaultDataDir, join(import.meta.dirname, '../../../data'));
});
