import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createTestDatabase } from '@graft/service/testing';
import { cacheFolder } from '../../scripts/bootstrap/cache-folder.mjs';
import { pythonEnvironment } from '../../scripts/golden/environment/python-environment.ts';
import { freePort, newBootstrapKey, startProcess, whenReady } from '../service/running-graft.ts';

/** A running Graft for the snippets, with the resources that they may use. */
export interface DocsService {
  origin: string;
  /** Key of an admin of the only team. */
  key: string;
  /** Working folder of the snippets: contains examples/, and data files with the names that the pages use. */
  folder: string;
  /** Environment of a snippet's process. */
  env: NodeJS.ProcessEnv;
  python: string;
  tail(): string;
  close(): Promise<void>;
}

const root = path.join(import.meta.dirname, '../..');

/**
 * Starts API and worker on a free port, with a temporary data folder and a separate database (on the server of DATABASE_URL, or
 * embedded). The bundled base model's id refers to a small random model, so that training takes seconds.
 */
export async function startDocsService(): Promise<DocsService> {
  const scratch = mkdtempSync(path.join(tmpdir(), 'graft-docs-'));
  const python = await pythonEnvironment();
  execFileSync(python, [path.join(import.meta.dirname, 'small_model.py'), path.join(scratch, 'model')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const baseModels = path.join(scratch, 'base-models.json');
  writeFileSync(baseModels, JSON.stringify({ 'smollm2-135m-instruct': { folder: './model' } }));
  const database = await createTestDatabase();
  const port = await freePort();
  const key = newBootstrapKey();
  const settings = {
    GRAFT_ENV_FILE: '',
    GRAFT_DATA_DIR: path.join(scratch, 'data'),
    GRAFT_CACHE_DIR: cacheFolder(),
    GRAFT_BASE_MODELS: baseModels,
    DATABASE_URL: database.url,
  };
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(GRAFT_|OPENAI_|NODE_TEST_CONTEXT$|REDIS_URL$|HOST$)/.test(name),
  );
  const base = Object.fromEntries(inherited);
  const graft = startProcess('scripts/start/main.ts', [], {
    ...base,
    ...settings,
    PORT: String(port),
    GRAFT_BOOTSTRAP_KEY: key,
    GRAFT_LOG: 'stdout',
    LOG_LEVEL: 'warn',
  });
  const close = async () => {
    await graft.end('SIGTERM');
    await database.drop();
    rmSync(scratch, { recursive: true, force: true });
  };
  const origin = `http://127.0.0.1:${port}`;
  try {
    await whenReady(graft, `${origin}/readyz`);
  } catch (error) {
    await close();
    throw error;
  }
  const folder = path.join(scratch, 'work');
  writeExamples(folder);
  const bootstrap = [path.join(root, 'apps/cli/bin/graft.mjs'), 'admin', 'bootstrap'];
  const operatorKey = execFileSync(process.execPath, bootstrap, { cwd: root, env: { ...base, ...settings } });
  const env = {
    ...base,
    ...settings,
    PATH: `${writeCommands(path.join(scratch, 'bin'))}:${process.env.PATH}`,
    HOME: scratch,
    XDG_CONFIG_HOME: path.join(scratch, 'config'),
    NO_COLOR: '1',
    PYTHONDONTWRITEBYTECODE: '1',
    GRAFT_BASE_URL: `${origin}/v1`,
    GRAFT_API_KEY: key,
    GRAFT_OPERATOR_KEY: operatorKey.toString().trim(),
  };
  return { origin, key, folder, env, python, tail: graft.tail, close };
}

/** Writes small data files with the names that the pages use. */
function writeExamples(folder: string): void {
  mkdirSync(folder);
  cpSync(path.join(root, 'examples'), path.join(folder, 'examples'), { recursive: true });
  const lines = readFileSync(path.join(folder, 'examples/bike-shop/train.jsonl'), 'utf8').split('\n');
  const write = (name: string, from: number, to: number) =>
    writeFileSync(path.join(folder, name), `${lines.slice(from, to).join('\n')}\n`);
  write('train.jsonl', 0, 24);
  write('val.jsonl', 24, 32);
  write('test.jsonl', 32, 40);
  const text = JSON.stringify({ text: 'Call me Ishmael. '.repeat(100) });
  writeFileSync(path.join(folder, 'book.jsonl'), `${`${text}\n`.repeat(4)}`);
  writeFileSync(
    path.join(folder, 'faq.csv'),
    'question,answer\nWhich tyre fits?,A 32.\nHow long?,"Two days, at most."\n',
  );
  writeFileSync(path.join(folder, 'password'), 'a-password\n');
}

/** Creates the commands `graft` and `npx graft` for this checkout; npx runs no other package. */
function writeCommands(folder: string): string {
  mkdirSync(folder);
  const command = path.join(root, 'apps/cli/bin/graft.mjs');
  if (!existsSync(command)) throw new Error(`${command} is missing`);
  const run = `exec '${process.execPath}' '${command}' "$@"`;
  writeFileSync(path.join(folder, 'graft'), `#!/bin/sh\n${run}\n`, { mode: 0o755 });
  writeFileSync(
    path.join(folder, 'npx'),
    `#!/bin/sh\n[ "$1" = graft ] || { echo "npx $1: not here" >&2; exit 1; }\nshift\n${run}\n`,
    { mode: 0o755 },
  );
  return folder;
}
