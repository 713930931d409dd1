import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { effectivePrecision, environmentFor } from '@graft/peft-core/precision';

/** What a child process computes on. */
export type Device =
  | { kind: 'cpu' }
  | {
      kind: 'gpu';
      /** What CUDA_VISIBLE_DEVICES takes; unlike the index it survives a reboot and a hidden neighbour. */
      uuid: string;
      index: number;
      name: string;
      memoryMib: number;
    };

/** The precision of matrix products. Master values are fp32 in both. */
export type Precision = 'fp32' | 'bf16';

const queryGpus = ['--query-gpu=index,uuid,name,memory.total', '--format=csv,noheader,nounits'];

/**
 * Reads what `nvidia-smi --query-gpu=index,uuid,name,memory.total --format=csv,noheader,nounits` printed. Lines of
 * another form ("No devices were found", driver warnings) are no GPU; a memory of "[N/A]", as on machines that
 * share memory between CPU and GPU, is 0.
 */
export function parseGpus(output: string): Extract<Device, { kind: 'gpu' }>[] {
  return output.split(/\r?\n/).flatMap((line) => {
    const match = /^\s*(\d+)\s*,\s*(GPU-[0-9a-fA-F-]+)\s*,\s*(.*?)\s*,\s*([^,]+?)\s*$/.exec(line);
    if (!match) return [];
    const memoryMib = Number(match[4]);
    return [
      {
        kind: 'gpu' as const,
        index: Number(match[1]),
        uuid: match[2]!,
        name: match[3]!,
        memoryMib: Number.isFinite(memoryMib) ? memoryMib : 0,
      },
    ];
  });
}

/**
 * The devices of this machine: every GPU that nvidia-smi lists, or the CPU where it lists none. `wanted` is
 * GRAFT_TENSORFLOW: "cpu" hides the GPUs, "gpu" makes a missing one an error instead of a silent slow fallback.
 */
export async function findDevices(wanted?: 'cpu' | 'gpu'): Promise<Device[]> {
  if (wanted === 'cpu') return [{ kind: 'cpu' }];
  const gpus = await promisify(execFile)('nvidia-smi', queryGpus, { timeout: 20_000 }).then(
    ({ stdout }) => parseGpus(stdout),
    () => [],
  );
  if (gpus.length > 0) return gpus;
  if (wanted === 'gpu') throw new Error('GRAFT_TENSORFLOW=gpu, but nvidia-smi lists no GPU on this machine.');
  return [{ kind: 'cpu' }];
}

/**
 * One trainer slot per device, at most `cap`. The generator gets a GPU that no trainer uses where the cap leaves one,
 * and otherwise shares the last device with its trainer.
 */
export function planSlots(devices: Device[], cap?: number): { trainers: Device[]; generator: Device } {
  const trainers = devices.slice(0, cap ?? devices.length);
  return { trainers, generator: devices.at(-1) ?? { kind: 'cpu' } };
}

/** The precision that "auto" means on this device: bf16 on a GPU and on a CPU that has the instructions, fp32 elsewhere. */
export function resolvePrecision(precision: 'auto' | Precision, device: Device): Precision {
  if (precision === 'auto' && device.kind === 'gpu') return 'bf16';
  return effectivePrecision(precision, environmentFor(precision));
}
