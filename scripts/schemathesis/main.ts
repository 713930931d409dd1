/**
 * `node --import tsx scripts/schemathesis/main.ts [--minutes N]`: starts Graft on a private database, with
 * two teams and a tiny model, and lets schemathesis try every route as both teams: all checks, stateful, for N minutes (10).
 * `decisions.toml` lists what it accepts. Exit code 1 when it found anything else.
 */

import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { GraftClient } from '@graft/client';
import { writeTinyModel } from '@graft/peft-core/testing';
import { createApiKey } from '@graft/service/keys';
import { createTeam } from '@graft/service/teams';
import { openTestServices } from '@graft/service/testing';
import {
  freePort,
  graftEnvironment,
  newBootstrapKey,
  startProcess,
  whenReady,
} from '../../test/service/running-graft.ts';
import { commandLine } from '../command-line.ts';
import { environmentOf } from '../golden/environment/python-environment.ts';

const values = commandLine({ minutes: { type: 'string', default: '10' } });
const seconds = Math.round(60 * Number(values.minutes));
if (!(seconds >= 1)) throw new Error('--minutes must be a number above 0');

const python = await environmentOf(path.join(import.meta.dirname, 'requirements.txt'), 'schemathesis');
const services = await openTestServices({ role: 'admin' });
try {
  const { dataDir } = services.env;
  const baseModels = path.join(dataDir, 'base-models.json');
  await writeTinyModel(path.join(dataDir, 'tiny'), { max_position_embeddings: 64 });
  await writeFile(baseModels, JSON.stringify({ tiny: { folder: 'tiny' } }));
  const first = newBootstrapKey();
  const port = await freePort();
  const graft = startProcess(
    'scripts/start/main.ts',
    [],
    graftEnvironment({
      LOG_LEVEL: 'error',
      PORT: String(port),
      GRAFT_DATA_DIR: dataDir,
      GRAFT_BASE_MODELS: baseModels,
      GRAFT_BOOTSTRAP_KEY: first,
      DATABASE_URL: services.env.databaseUrl,
      REDIS_URL: services.env.redisUrl,
    }),
  );
  try {
    const url = `http://127.0.0.1:${port}`;
    await whenReady(graft, `${url}/readyz`);
    const keys = { first, second: await secondKey() };
    for (const key of Object.values(keys)) await makeSomething(`${url}/v1`, key);
    await writeConfig(dataDir, keys);
    process.exitCode = probe(url, dataDir);
    const log = graft.tail();
    if (log.trim() !== '') console.log(`The last lines of Graft's log:\n${log}`);
  } finally {
    await graft.end('SIGTERM');
  }
} finally {
  await services.close();
}

async function secondKey(): Promise<string> {
  const team = await createTeam(services, { name: 'second' });
  return (await createApiKey(services, team.id, { name: 'second', role: 'member' })).key;
}

/** A file, a job and its adapter, so that ids of real things are in the lists. */
async function makeSomething(baseUrl: string, apiKey: string): Promise<void> {
  const client = new GraftClient({ baseUrl, apiKey });
  const file = await client.files.upload({ file: new Blob(['{"text":"A line to learn."}\n'.repeat(20)]) });
  await client.fineTuning.jobs.create({
    model: 'tiny',
    training_file: file.id,
    suffix: 'made',
    training: { max_steps: 4 },
  });
}

async function writeConfig(folder: string, keys: Record<string, string>): Promise<void> {
  const auth = Object.entries(keys).map(([name, key]) => ({
    name,
    fixedHeaders: [{ name: 'Authorization', value: `Bearer ${key}` }],
  }));
  await writeFile(path.join(folder, 'auth.json'), JSON.stringify({ auth }));
  const decisions = await readFile(path.join(import.meta.dirname, 'decisions.toml'), 'utf8');
  const wfc = `\n[auth.wfc]\npath = "auth.json"\nuser = "first"\npeers = ["first", "second"]\n`;
  await writeFile(path.join(folder, 'schemathesis.toml'), decisions + wfc);
}

/** The exit code: 0 when nothing was found. */
function probe(url: string, folder: string): 0 | 1 {
  const { status } = spawnSync(
    python,
    [
      '-c',
      'from schemathesis.cli import schemathesis; schemathesis()',
      'run',
      `${url}/docs/json`,
      '--max-time',
      String(seconds),
      '--request-timeout',
      '30',
    ],
    { cwd: folder, stdio: 'inherit' },
  );
  return status === 0 ? 0 : 1;
}
