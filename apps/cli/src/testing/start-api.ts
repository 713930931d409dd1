import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { createTestDatabase } from '@graft/service/testing';
import {
  freePort,
  graftEnvironment,
  startProcess,
  whenReady,
} from '../../../../test/service/running-graft.ts';
import { runGraft } from './run-graft.ts';

/** Environment variables for the command. */
export interface ApiEnvironment extends Record<string, string> {
  DATABASE_URL: string;
  GRAFT_DATA_DIR: string;
  GRAFT_BASE_URL: string;
  GRAFT_OPERATOR_KEY: string;
}

/**
 * Starts an API process with a separate database, data folder and port, and creates the first operator key. `place`: an existing
 * database and data folder. `settings`: further settings of the API.
 */
export async function startApi(
  t: Pick<TestContext, 'after'>,
  folder: string,
  { place, settings = {} }: { place?: Record<string, string>; settings?: Record<string, string> } = {},
): Promise<ApiEnvironment> {
  const database = place === undefined ? await createTestDatabase() : null;
  t.after(async () => await database?.drop());
  const port = await freePort();
  const env = place ?? { DATABASE_URL: database!.url, GRAFT_DATA_DIR: join(folder, 'data') };
  const bootstrap = await runGraft(['admin', 'bootstrap'], { env });
  assert.equal(bootstrap.code, 0, bootstrap.stderr);
  const listens = { PORT: String(port), HOST: '127.0.0.1' };
  const running = startProcess(
    'apps/api/src/main.ts',
    [],
    graftEnvironment({ ...env, ...listens, ...settings }),
  );
  t.after(async () => void (await running.end('SIGTERM')));
  await whenReady(running, `http://127.0.0.1:${port}/readyz`);
  const keys = { GRAFT_BASE_URL: `http://127.0.0.1:${port}/v1`, GRAFT_OPERATOR_KEY: bootstrap.stdout.trim() };
  return { ...(env as { DATABASE_URL: string; GRAFT_DATA_DIR: string }), ...keys };
}
