import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Shown to the user without a stack. */
export class ExpectedError extends Error {
  expected = true;
}

/** Something the user has to install or set; the message is one line that says what and how. */
export class PrerequisiteError extends ExpectedError {
  name = 'PrerequisiteError';
}

/**
 * @param {string} what
 * @param {{ debian: string, fedora: string, macos: string }} install
 */
const missing = (what, { debian, fedora, macos }) =>
  new PrerequisiteError(
    `${what} Install it with: ${debian} (Debian, Ubuntu), ${fedora} (Fedora), ${macos} (macOS)`,
  );

/**
 * @param {string} name
 * @returns {string | null} the full path of a program on the PATH
 */
function findOnPath(name) {
  for (const folder of (process.env.PATH ?? '').split(delimiter).filter(Boolean)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not here
    }
  }
  return null;
}

/** @returns {string} a Python that can run pip */
export function findPython() {
  const pythons = ['python3', 'python'].map(findOnPath).filter((path) => path !== null);
  const working = pythons.filter((path) =>
    runs(path, ['-c', 'import sys; assert sys.version_info >= (3, 9)']),
  );
  const withPip = working.find((path) => runs(path, ['-m', 'pip', '--version']));
  if (withPip) return withPip;
  if (working.length === 0) {
    throw missing('Python 3.9 or newer is missing (TensorFlow comes from its package index).', {
      debian: 'sudo apt install python3 python3-pip',
      fedora: 'sudo dnf install python3 python3-pip',
      macos: 'xcode-select --install',
    });
  }
  throw missing(`pip is missing for ${working[0]} (TensorFlow comes from its package index).`, {
    debian: 'sudo apt install python3-pip',
    fedora: 'sudo dnf install python3-pip',
    macos: 'python3 -m ensurepip',
  });
}

/** @returns {string} a C++17 compiler */
export function findCompiler() {
  const chosen = process.env.CXX;
  for (const name of chosen ? [chosen] : ['g++', 'clang++', 'c++']) {
    const path = name.includes('/') ? name : findOnPath(name);
    if (path && runs(path, ['--version'])) return path;
  }
  if (chosen) throw new PrerequisiteError(`CXX is "${chosen}", which does not run`);
  throw missing('A C++ compiler is missing (it builds the bridge between Node and TensorFlow).', {
    debian: 'sudo apt install g++',
    fedora: 'sudo dnf install gcc-c++',
    macos: 'xcode-select --install',
  });
}

/**
 * GRAFT_TENSORFLOW if set; else a GPU where nvidia-smi lists one. nvidia-smi takes up to a second, so it is not asked again
 * once the GPU library is installed.
 * @param {'cpu' | 'gpu'} [installed]
 * @returns {'cpu' | 'gpu'}
 */
export function chooseDevice(installed) {
  const wanted = process.env.GRAFT_TENSORFLOW || undefined;
  if (wanted === 'cpu' || wanted === 'gpu') return wanted;
  if (wanted) throw new PrerequisiteError(`GRAFT_TENSORFLOW is "${wanted}"; it takes cpu or gpu`);
  if (process.platform !== 'linux' || process.arch !== 'x64' || !findOnPath('nvidia-smi')) return 'cpu';
  if (installed === 'gpu') return 'gpu';
  const { status, stdout } = spawnSync('nvidia-smi', ['--list-gpus'], { encoding: 'utf8', timeout: 20_000 });
  return status === 0 && /^GPU \d/m.test(stdout) ? 'gpu' : 'cpu';
}

/**
 * @param {string} command
 * @param {string[]} args
 */
const runs = (command, args) => spawnSync(command, args, { stdio: 'ignore', timeout: 60_000 }).status === 0;
