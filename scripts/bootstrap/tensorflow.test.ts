import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { cacheFolder } from './cache-folder.mjs';
import { chooseDevice } from './tensorflow/prerequisites.mjs';
import { ensureTensorflow } from './tensorflow.mjs';

const repository = resolve(import.meta.dirname, '../..');
const filledCache = cacheFolder();

let folder: string;
let root: string;
let tools: string;
let lines: string[];
const log = (line: string) => void lines.push(line);
const environment = {
  PATH: process.env.PATH,
  GRAFT_TENSORFLOW: process.env.GRAFT_TENSORFLOW,
  CXX: process.env.CXX,
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'graft-bootstrap-'));
  // A checkout whose addon is not in place.
  root = join(folder, 'checkout');
  const binding = 'node_modules/@tensorflow/tfjs-node-gpu/binding';
  for (const part of [binding, 'packages/tf-graph/native', 'node_modules/node-api-headers/include'])
    cpSync(join(repository, part), join(root, part), { recursive: true });
  tools = join(folder, 'bin');
  mkdirSync(tools);
  lines = [];
  process.env.GRAFT_TENSORFLOW = 'cpu';
  delete process.env.CXX;
});
afterEach(() => {
  for (const [name, value] of Object.entries(environment))
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  rmSync(folder, { recursive: true });
});

/** A program on a PATH that holds nothing else. */
function fakeTool(name: string, script: string): void {
  writeFileSync(join(tools, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(tools, name), 0o755);
}
const ensure = (cacheDir: string) => ensureTensorflow({ log, cacheDir, root });

test('takes the addon from the cache, and then has nothing to do', async () => {
  const first = await ensure(filledCache);
  assert.deepEqual(
    [first.device, first.built],
    ['cpu', false],
    `build the cache first: npm run tensorflow\n${lines.join('\n')}`,
  );
  const addon = join(root, 'node_modules/@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node');
  const version = execFileSync(process.execPath, ['-p', 'require(process.argv[1]).TF_Version', addon], {
    encoding: 'utf8',
  });
  assert.equal(version.trim(), '2.21.0');

  const { mtimeMs } = statSync(addon);
  assert.deepEqual(await ensure(filledCache), first);
  assert.equal(statSync(addon).mtimeMs, mtimeMs);
  assert.deepEqual(lines, []);

  rmSync(addon);
  await ensure(filledCache);
  assert.ok(existsSync(addon));
});

describe('an empty cache', () => {
  const refused = async (pattern: RegExp) => {
    const cache = join(folder, 'cache');
    process.env.PATH = tools;
    await assert.rejects(ensure(cache), (error: Error) => {
      assert.match(error.message, pattern);
      assert.ok(error.name !== 'PrerequisiteError' || !error.message.includes('\n'), 'one line');
      return true;
    });
    const left = existsSync(cache) ? readdirSync(join(cache, 'tensorflow')) : [];
    assert.deepEqual(left, [], 'nothing is left behind');
  };
  const python = (pip: string) => fakeTool('python3', `case "$*" in *"pip download"*) ${pip};; esac; exit 0`);

  test('and no Python', () =>
    refused(
      /^Python 3\.9 or newer is missing.*apt install python3 python3-pip.*dnf install.*xcode-select --install/,
    ));

  test('and a Python without pip', async () => {
    fakeTool('python3', 'test "$1" = -c');
    await refused(
      /^pip is missing for \S+python3 .*apt install python3-pip.*dnf install python3-pip.*ensurepip \(macOS\)/,
    );
  });

  test('and no C++ compiler', async () => {
    python('exit 1');
    await refused(
      /^A C\+\+ compiler is missing.*apt install g\+\+.*dnf install gcc-c\+\+.*xcode-select --install/,
    );
  });

  test('and no network', async () => {
    python('echo "Could not resolve host" >&2; exit 1');
    fakeTool('g++', 'exit 0');
    await refused(/downloading tensorflow\S* failed \(exit 1\):\nCould not resolve host/);
  });

  test('and a wheel with another hash', async () => {
    python(
      'for last; do :; done; while [ "$1" != --dest ]; do shift; done; echo broken > "$2/tensorflow-1.whl"; exit 0',
    );
    fakeTool('g++', 'exit 0');
    await refused(/tensorflow-1\.whl has sha256 [0-9a-f]{64}, expected [0-9a-f]{64}: not used/);
  });
});

test('no node_modules', async () => {
  rmSync(join(root, 'node_modules'), { recursive: true });
  await assert.rejects(ensure(filledCache), /npm ci has to run/);
});

test('GRAFT_TENSORFLOW chooses the device, else nvidia-smi does', {
  skip: process.platform !== 'linux' || process.arch !== 'x64',
}, () => {
  process.env.PATH = tools;
  process.env.GRAFT_TENSORFLOW = 'tpu';
  assert.throws(() => chooseDevice(), /GRAFT_TENSORFLOW is "tpu"; it takes cpu or gpu/);
  process.env.GRAFT_TENSORFLOW = 'gpu';
  assert.equal(chooseDevice(), 'gpu');
  delete process.env.GRAFT_TENSORFLOW;
  assert.equal(chooseDevice(), 'cpu');
  fakeTool('nvidia-smi', 'echo "GPU 0: NVIDIA H100 (UUID: GPU-1)"');
  assert.equal(chooseDevice('cpu'), 'gpu');
  fakeTool('nvidia-smi', 'echo "No devices were found"; exit 6');
  assert.equal(chooseDevice(), 'cpu');
  assert.equal(chooseDevice('gpu'), 'gpu', 'not asked again once installed');
});
