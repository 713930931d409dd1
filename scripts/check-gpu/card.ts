import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findDevices } from '../../apps/worker/src/cards/find-devices.ts';
import type { Device } from '../../apps/worker/src/devices.ts';
import { platformWheel, VERSION } from '../bootstrap/tensorflow/wheels.mjs';

const root = join(import.meta.dirname, '..', '..');

/** The first card of this machine; or one line that says what is missing. */
export async function findCard(host = `${process.platform}-${process.arch}`): Promise<Device | string> {
  if (host !== 'linux-x64') return `TensorFlow has GPUs on Linux x86-64 only, this is ${host}`;
  const { error, stdout, stderr } = smi(['--list-gpus']);
  if (error) return 'no NVIDIA driver is installed: there is no nvidia-smi on the PATH';
  const [card] = await findDevices('gpu', { build: 'gpu' }).catch(() => []);
  if (card?.kind !== 'gpu') return `nvidia-smi lists no card: ${`${stdout}${stderr}`.trim().split('\n')[0]}`;
  if (builtFor() === 'cpu')
    return "TensorFlow's CPU build is installed: GRAFT_TENSORFLOW=gpu npm run tensorflow fetches the other";
  return card;
}

/** Describes the device and TensorFlow for the report. */
export function describeDevice(device: Device): Record<string, string> {
  if (device.kind === 'cpu') return { device: 'the processor', TensorFlow: `${VERSION} (${builtFor()})` };
  const query = ['--query-gpu=driver_version,compute_cap', '--format=csv,noheader'];
  const [driver = '?', capability = '?'] = smi([`--id=${device.uuid}`, ...query])
    .stdout.trim()
    .split(', ');
  return {
    card: `${device.name}, ${(device.memoryMib / 1024).toFixed(0)} GiB, compute capability ${capability}`,
    driver,
    TensorFlow: `${VERSION} (${builtFor()})`,
    CUDA: versionOf('nvidia-cuda-runtime-cu12'),
    cuDNN: versionOf('nvidia-cudnn-cu12'),
  };
}

const smi = (args: string[]) => spawnSync('nvidia-smi', args, { encoding: 'utf8', timeout: 20_000 });

/** Version of the library that comes with TensorFlow. */
function versionOf(library: string): string {
  const extras = platformWheel('gpu', 'linux-x64').extras.map(({ requirement }) => requirement.split('=='));
  return extras.find(([name]) => name === library)?.[1] ?? '?';
}

/** Which of TensorFlow's builds is in place: the bootstrap writes it there. */
function builtFor(): string {
  const stamp = join(root, 'node_modules/@tensorflow/tfjs-node-gpu/lib/napi-v8/graft.json');
  return (JSON.parse(readFileSync(stamp, 'utf8')) as { device: string }).device;
}
