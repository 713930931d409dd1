import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { makeEnvironment } from './make-environment.ts';

let home: string;
let requirementsFile: string;

/** A package of one module, in a wheel that needs no index. */
const writeWheel = `
import sys, zipfile
info = 'graft_probe-1.0.dist-info'
with zipfile.ZipFile(sys.argv[1] + '/graft_probe-1.0-py3-none-any.whl', 'w') as wheel:
    wheel.writestr('graft_probe.py', 'answer = 42\\n')
    wheel.writestr(info + '/METADATA', 'Metadata-Version: 2.1\\nName: graft-probe\\nVersion: 1.0\\n')
    wheel.writestr(info + '/WHEEL', 'Wheel-Version: 1.0\\nGenerator: graft\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(info + '/RECORD', 'graft_probe.py,,\\n' + ''.join(info + f'/{name},,\\n' for name in ('METADATA', 'WHEEL', 'RECORD')))
`;

before(() => {
  home = mkdtempSync(path.join(tmpdir(), 'graft-environment-'));
  execFileSync('python3', ['-c', writeWheel, home]);
  requirementsFile = path.join(home, 'requirements.txt');
  writeFileSync(requirementsFile, path.join(home, 'graft_probe-1.0-py3-none-any.whl'));
});
after(() => rmSync(home, { recursive: true, force: true }));

/** `python3` as on a machine that lacks a part of it: whatever would use that part fails. */
function pythonWithout(name: string, pattern: string): string {
  const file = path.join(home, name);
  writeFileSync(file, `#!/bin/sh\ncase "$*" in ${pattern}) exit 1;; esac\nexec python3 "$@"\n`);
  chmodSync(file, 0o755);
  return file;
}

const answerOf = (folder: string) =>
  execFileSync(path.join(folder, 'bin/python'), ['-c', 'import graft_probe; print(graft_probe.answer)'], {
    encoding: 'utf8',
  }).trim();

test("without ensurepip, as Debian's Python is, the environment has the packages", async () => {
  const folder = path.join(home, 'debian');
  // Behaviour of `python -m venv` without --without-pip there, whatever its arguments.
  const python = pythonWithout('no-ensurepip', '"-m venv /"*|*"import ensurepip"*');
  await makeEnvironment({ python, requirementsFile, folder, report: () => {} });
  assert.equal(answerOf(folder), '42');
  assert.notEqual(spawnSync(path.join(folder, 'bin/python'), ['-c', 'import pip']).status, 0);
  assert.deepEqual(
    readdirSync(home).filter((name) => name.startsWith('debian')),
    ['debian'],
  );
});

test('without pip, but with ensurepip, the environment brings its own', {
  skip: spawnSync('python3', ['-c', 'import ensurepip']).status !== 0 && 'this Python has no ensurepip',
}, async () => {
  const folder = path.join(home, 'bare');
  const python = pythonWithout('no-pip', '"-m pip "*|*"import pip"*');
  await makeEnvironment({ python, requirementsFile, folder, report: () => {} });
  assert.equal(answerOf(folder), '42');
});

test('a failure is one line; what pip said is kept in a file', async () => {
  const folder = path.join(home, 'broken');
  const broken = path.join(home, 'broken.txt');
  writeFileSync(broken, path.join(home, 'missing-1.0-py3-none-any.whl'));
  await assert.rejects(
    makeEnvironment({ python: 'python3', requirementsFile: broken, folder, report: () => {} }),
    (error: Error) => {
      assert.match(error.message, /^python3 -m pip install failed: ERROR: .*missing-1\.0.*broken\.log\)$/);
      assert.ok(!error.message.includes('\n'));
      return true;
    },
  );
  assert.match(readFileSync(`${folder}.log`, 'utf8'), /^\$ python3 -m venv --without-pip /);
  assert.ok(!existsSync(folder));
});
