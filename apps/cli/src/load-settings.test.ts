import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { defaultDataDir } from './admin/with-services.ts';
import { loadSettings } from './load-settings.ts';
import { runGraft, temporaryFolder } from './testing/run-graft.ts';
import { wireServer } from './testing/wire-server.ts';

test('.env fills in what is not set; its paths start at its folder', (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(
    join(folder, '.env'),
    'GRAFT_DATA_DIR=./data\nGRAFT_BASE_MODELS=/models.json\nGRAFT_CACHE_DIR=\nPORT=8010\nexport HF_TOKEN="a b"\n# HOST=x\n',
  );
  const env: NodeJS.ProcessEnv = { PORT: '9000', HF_ENDPOINT: '' };
  loadSettings(env, folder);
  assert.deepEqual(env, {
    PORT: '9000',
    HF_ENDPOINT: '',
    GRAFT_DATA_DIR: join(folder, 'data'),
    GRAFT_BASE_MODELS: '/models.json',
    GRAFT_CACHE_DIR: '',
    HF_TOKEN: 'a b',
  });
});

test('GRAFT_ENV_FILE names another file, or none; a file that is missing matters only when it is named', (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, '.env'), 'PORT=1\n');
  writeFileSync(join(folder, 'other'), 'PORT=2\n');
  const portBy = (file: string | undefined, root = folder) => {
    const env: NodeJS.ProcessEnv = file === undefined ? {} : { GRAFT_ENV_FILE: file };
    loadSettings(env, root);
    return env.PORT;
  };
  assert.equal(portBy(undefined), '1');
  assert.equal(portBy(join(folder, 'other')), '2');
  assert.equal(portBy(''), undefined);
  assert.equal(portBy(undefined, join(folder, 'nowhere')), undefined);
  assert.throws(() => portBy(join(folder, 'missing')), { code: 'ENOENT' });
});

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
    [1, 'graft: There is no file or folder /nonexistent/settings.\n'],
  );
});

test('without any setting the operator works on the data of the service, whatever the folder', () => {
  assert.equal(defaultDataDir, join(import.meta.dirname, '../../../data'));
});
