import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Device } from '../../apps/worker/src/devices.ts';

const everyMilliseconds = 200;

/**
 * Watches the memory in use on a card, by any process: TensorFlow and PyTorch keep what they once allocated, so this is what a card must
 * have rather than what was in use. The returned function stops watching and returns the peak above the first reading, in MiB; null on a
 * processor, and where nvidia-smi reports none.
 */
export function watchCardMemory(device: Device): () => number | null {
  if (device.kind === 'cpu') return () => null;
  const query = [
    '--query-gpu=memory.used',
    '--format=csv,noheader,nounits',
    `--loop-ms=${everyMilliseconds}`,
  ];
  const child = spawn('nvidia-smi', [`--id=${device.uuid}`, ...query], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  child.on('error', () => {}); // it was there when the device was found
  let first: number | null = null;
  let most = 0;
  createInterface({ input: child.stdout }).on('line', (line) => {
    const used = Number.parseInt(line, 10);
    if (!Number.isFinite(used)) return;
    first ??= used;
    most = Math.max(most, used - first);
  });
  return () => {
    child.kill();
    return first === null ? null : most;
  };
}
