import { spawnSync } from 'node:child_process';
import type { Device } from '../../apps/worker/src/devices.ts';
import { findPythonEnvironment } from '../golden/environment/python-environment.ts';
import { NotPossible } from './check.ts';

/** Throws `NotPossible` where PyTorch and HF PEFT are not installed, or PyTorch does not reach the device. */
export async function needPyTorch(
  { kind }: Pick<Device, 'kind'>,
  library: 'peft' | 'quantised' = 'peft',
): Promise<void> {
  const python = await findPythonEnvironment(library);
  if (python === null)
    throw new NotPossible('PyTorch and HF PEFT are not installed: --pytorch installs them');
  if (kind === 'cpu') return;
  const script = 'import torch; torch.zeros(1).cuda(); print(torch.version.cuda)';
  const { status, stderr } = spawnSync(python, ['-c', script], { encoding: 'utf8' });
  const reason = stderr.trim().split('\n').at(-1);
  if (status !== 0) throw new NotPossible(`PyTorch does not reach the card: ${reason}`);
}
