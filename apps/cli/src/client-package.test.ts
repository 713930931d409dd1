/** The installable `graft` command, installed by npm outside this folder. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { clientPackage, packClient } from '../../../scripts/cli/pack-client.ts';
import { KEY, wireServer } from './testing/wire-server.ts';

const exec = promisify(execFile);
let folder: string;
before(async () => {
  await packClient();
  folder = await mkdtemp(join(tmpdir(), 'graft client '));
});
after(() => rm(folder, { recursive: true, force: true }));

/** Runs npm as in a user's shell, with a separate cache and configuration. */
async function npm(command: string, ...args: string[]): Promise<string> {
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    npm_config_cache: join(folder, '.npm'),
    // An unreachable registry: the package has no dependencies.
    npm_config_registry: 'http://127.0.0.1:9/',
    npm_config_audit: 'false',
  };
  const { stdout } = await exec(command, args, { cwd: folder, env, timeout: 60_000 });
  return stdout;
}

test('npx runs it from the file, in a folder that knows nothing of Graft', async () => {
  const run = (...args: string[]) => npm('npx', '--yes', `--package=file:${clientPackage}`, 'graft', ...args);
  assert.match(await run('--version'), /^\d+\.\d+\.\d+\n$/);
  const help = await run('--help');
  for (const verb of ['login', 'jobs', 'adapters', 'chat', 'team', 'import', 'completion', 'admin'])
    assert.match(help, new RegExp(`^  ${verb} `, 'm'));
  // Local training and the admin verbs that access the database need Graft's folder.
  const admin = await run('admin', '--help');
  for (const verb of ['teams', 'workers']) assert.match(admin, new RegExp(`^  ${verb} `, 'm'));
  for (const verb of ['train', 'generate', 'bootstrap', 'rescue', 'secrets'])
    assert.doesNotMatch(help + admin, new RegExp(`^  ${verb} `, 'm'));
});

test('installed from a URL it asks a service, and holds neither TensorFlow nor other packages', async (t) => {
  const content = await readFile(clientPackage);
  const service = await wireServer(t);
  const files = createServer((_request, response) => response.end(content)).listen(0, '127.0.0.1');
  await once(files, 'listening');
  try {
    const { port } = files.address() as { port: number };
    await npm('npm', 'install', '--prefix', join(folder, 'bin'), `http://127.0.0.1:${port}/graft-cli.tgz`);
    const models = await npm(
      join(folder, 'bin/node_modules/.bin/graft'),
      ...['models', 'list', '--base-url', service.env.GRAFT_BASE_URL, '--api-key', KEY],
    );
    assert.match(models, /^base /m);
    const { stdout } = await exec('find', [join(folder, 'bin/node_modules'), '-name', 'package.json']);
    assert.equal(stdout.trim().split('\n').length, 1, stdout);
    assert.ok((await stat(clientPackage)).size < 1_000_000);
  } finally {
    files.close();
    files.closeAllConnections();
  }
});
