import { spawnSync } from 'node:child_process';
import { findOnPath, PrerequisiteError } from './prerequisites.mjs';

/**
 * GRAFT_TENSORFLOW if set; else a GPU where nvidia-smi lists one. nvidia-smi takes up to a second, so it is not asked again
 * once the GPU library is installed.
 * @param {'cpu' | 'gpu' | undefined} installed
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
