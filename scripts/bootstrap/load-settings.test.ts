import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../apps/cli/src/testing/run-graft.ts';
import { bootstrapSettings, loadSettings } from './load-settings.mjs';

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

test('of .env only the settings of the bootstrap are passed on', (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'settings');
  writeFileSync(file, 'GRAFT_CACHE_DIR=cache\nCXX="clang++"\nDATABASE_URL=postgresql://service\n');
  const env: NodeJS.ProcessEnv = { GRAFT_ENV_FILE: file, GRAFT_SKIP_MODEL: '1' };
  loadSettings(env, folder, bootstrapSettings);
  assert.deepEqual(env, {
    GRAFT_ENV_FILE: file,
    GRAFT_SKIP_MODEL: '1',
    GRAFT_CACHE_DIR: join(folder, 'cache'),
    CXX: 'clang++',
  });
});
