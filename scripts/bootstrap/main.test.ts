import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { hashFiles, installPackages } from './install-packages.mjs';
import { checkNode } from './steps.mjs';

const repository = path.resolve(import.meta.dirname, '../..');

let folder: string;
let checkout: string;
let tools: string;
const { PATH } = process.env;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'graft-setup-'));
  checkout = path.join(folder, 'checkout');
  tools = path.join(folder, 'bin');
  mkdirSync(tools);
});
afterEach(() => {
  process.env.PATH = PATH;
  rmSync(folder, { recursive: true });
});

function fakeTool(name: string, script: string): void {
  writeFileSync(path.join(tools, name), `#!/bin/sh\n${script}\n`);
  chmodSync(path.join(tools, name), 0o755);
}

/** A checkout whose packages are installed, and nothing else. */
function installedCheckout(): void {
  const binding = 'node_modules/@tensorflow/tfjs-node-gpu/binding';
  const parts = [binding, 'packages/tf-graph/native', 'node_modules/node-api-headers/include'];
  for (const part of ['scripts/bootstrap', 'package-lock.json', ...parts])
    cpSync(path.join(repository, part), path.join(checkout, part), { recursive: true });
  mkdirSync(path.join(checkout, 'node_modules/esbuild'));
  const stamps = path.join(checkout, 'node_modules/.cache/graft');
  mkdirSync(stamps, { recursive: true });
  const packages = hashFiles([path.join(checkout, 'package-lock.json')]);
  writeFileSync(path.join(stamps, 'bootstrap.json'), JSON.stringify({ packages }));
}

function bootstrap(root: string, args: string[], env: NodeJS.ProcessEnv) {
  return spawnSync(process.execPath, [path.join(root, 'scripts/bootstrap/main.mjs'), ...args], {
    encoding: 'utf8',
    env,
  });
}

test('with nothing to do it says so in one line, and installs nothing', () => {
  fakeTool('npm', `touch ${path.join(folder, 'npm-ran')}; exit 1`);
  const lock = path.join(repository, 'node_modules/.package-lock.json');
  const before = readFileSync(lock, 'utf8');
  const ran = bootstrap(repository, [], {
    ...process.env,
    PATH: `${tools}${path.delimiter}${PATH}`,
    GRAFT_ENV_FILE: '',
  });
  assert.equal(ran.stderr, '✓ Graft is set up: nothing to do\n');
  assert.deepEqual([ran.status, ran.stdout], [0, '']);
  assert.ok(!existsSync(path.join(folder, 'npm-ran')));
  assert.equal(readFileSync(lock, 'utf8'), before);
});

test('a missing prerequisite is one line with the commands for Debian, Fedora and macOS', () => {
  installedCheckout();
  const env = { PATH: tools, GRAFT_CACHE_DIR: path.join(folder, 'cache'), GRAFT_TENSORFLOW: 'cpu' };
  const ran = bootstrap(checkout, ['--only', 'tensorflow'], env);
  assert.equal(ran.status, 1);
  assert.match(
    ran.stderr,
    /^\n✗ Python 3\.9 or newer is missing .*sudo apt install \S.* \(Debian, Ubuntu\), sudo dnf install \S.* \(Fedora\), xcode-select --install \(macOS\)\n$/,
  );
});

test('.env is read, and what is set wins', () => {
  installedCheckout();
  writeFileSync(path.join(checkout, '.env'), 'GRAFT_TENSORFLOW=tpu\nGRAFT_CACHE_DIR=my-cache\n');
  const ran = bootstrap(checkout, ['--only', 'tensorflow'], { PATH: tools });
  assert.equal(ran.stderr, '\n✗ GRAFT_TENSORFLOW is "tpu"; it takes cpu or gpu\n');
  const set = bootstrap(checkout, ['--only', 'tensorflow'], { PATH: tools, GRAFT_TENSORFLOW: 'cpu' });
  assert.match(set.stderr, /Python 3\.9 or newer is missing/);
  assert.ok(existsSync(path.join(checkout, 'my-cache/tensorflow')), "the cache folder is .env's");
  const elsewhere = { PATH: tools, GRAFT_ENV_FILE: path.join(folder, 'missing'), GRAFT_TENSORFLOW: 'none' };
  const missing = bootstrap(checkout, ['--only', 'tensorflow'], elsewhere);
  assert.equal(missing.stderr, '\n✗ GRAFT_TENSORFLOW is "none"; it takes cpu or gpu\n');
});

test('a Node that is too old is one line', () => {
  for (const version of ['20.19.0', '20.20.1', '22.0.0', '24.1.0']) checkNode(version);
  for (const version of ['18.20.0', '20.18.3']) {
    assert.throws(
      () => checkNode(version),
      (error: Error) => {
        assert.match(
          error.message,
          /^Node \S+ is too old.*apt install .*dnf install .*brew install node[^\n]*$/,
        );
        return true;
      },
    );
  }
});

test('npm ci reports progress', async () => {
  mkdirSync(checkout);
  const other = process.platform === 'darwin' ? 'linux' : 'darwin';
  const packages = {
    '': {},
    'packages/own': {},
    'node_modules/@graft/own': { link: true },
    'node_modules/a': {},
    'node_modules/@scope/b': { os: [process.platform] },
    'node_modules/a/node_modules/c': { os: ['!win32'] },
    'node_modules/elsewhere': { os: [other] },
  };
  writeFileSync(path.join(checkout, 'package-lock.json'), JSON.stringify({ packages }));
  const install = (folder: string) => `mkdir -p ${folder}; echo '{}' > ${folder}/package.json; sleep 0.5`;
  fakeTool(
    'npm',
    ['node_modules/a', 'node_modules/@scope/b', 'node_modules/esbuild'].map(install).join('\n'),
  );
  process.env.PATH = `${tools}${path.delimiter}${PATH}`;
  const lines: string[] = [];
  assert.equal(await installPackages(checkout, (line) => lines.push(line), 100), true);
  assert.equal(lines[0], 'npm ci: about 3 packages');
  assert.ok(lines.includes('npm ci: 1 of about 3 packages'), lines.join('\n'));
  assert.ok(lines.includes('npm ci: 2 of about 3 packages'), lines.join('\n'));
  assert.equal(await installPackages(checkout, (line) => lines.push(line), 100), false);
});

test('a signal, or the death of npm, ends what sets up, too', async () => {
  const notes = path.join(folder, 'npm-pid');
  for (const end of ['SIGTERM', 'SIGINT', 'SIGHUP', 'npm'] as const) {
    rmSync(notes, { force: true });
    rmSync(checkout, { recursive: true, force: true });
    cpSync(path.join(repository, 'scripts/bootstrap'), path.join(checkout, 'scripts/bootstrap'), {
      recursive: true,
    });
    writeFileSync(path.join(checkout, 'package-lock.json'), '{"packages":{}}');
    fakeTool('npm', `echo $$ > ${notes}; exec sleep 300`);
    const bootstrap = `exec ${process.execPath} ${path.join(checkout, 'scripts/bootstrap/main.mjs')}`;
    // Stands for npm: it starts the bootstrap, and waits.
    const npm = spawn('sh', ['-c', end === 'npm' ? `(${bootstrap}) & wait` : bootstrap], {
      env: { PATH: `${tools}${path.delimiter}${PATH}`, npm_lifecycle_event: 'start' },
      stdio: 'ignore',
    });
    const ended = once(npm, 'exit');
    const pid = await until(() => (existsSync(notes) ? Number(readFileSync(notes, 'utf8')) : null));
    npm.kill(end === 'npm' ? 'SIGKILL' : end);
    await until(() => !isAlive(pid));
    const [code] = await ended;
    if (end !== 'npm') assert.equal(code, { SIGTERM: 143, SIGINT: 130, SIGHUP: 129 }[end]);
  }
});

test('of two that set up at once, the second waits, says so, and finds nothing left to do', async () => {
  cpSync(path.join(repository, 'scripts/bootstrap'), path.join(checkout, 'scripts/bootstrap'), {
    recursive: true,
  });
  writeFileSync(path.join(checkout, 'package-lock.json'), '{"packages":{}}');
  const [runs, go] = [path.join(folder, 'npm-runs'), path.join(folder, 'go')];
  fakeTool(
    'npm',
    `echo x >> ${runs}; while ! [ -e ${go} ]; do sleep 0.05; done; mkdir -p node_modules/esbuild`,
  );
  const start = () => {
    const args = [path.join(checkout, 'scripts/bootstrap/main.mjs'), '--only', 'packages'];
    const env = { PATH: `${tools}${path.delimiter}${PATH}` };
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    let printed = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
    return { child, printed: () => printed, ended: once(child, 'exit') };
  };
  const first = start();
  await until(() => existsSync(runs));
  const second = start();
  await until(() => second.printed().includes(`another process (${first.child.pid}) sets Graft up`));
  writeFileSync(go, '');
  assert.deepEqual(
    [await first.ended, await second.ended],
    [
      [0, null],
      [0, null],
    ],
    second.printed(),
  );
  assert.equal(readFileSync(runs, 'utf8'), 'x\n');
  assert.match(second.printed(), /npm packages: nothing to do/);
  assert.ok(!existsSync(path.join(checkout, '.setup-lock')));
});

async function until<T>(found: () => T): Promise<T & {}> {
  for (const end = performance.now() + 60_000; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const value = found();
    if (value) return value;
    assert.ok(performance.now() < end, 'in time');
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
