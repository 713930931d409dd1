import type { Device } from '../devices.ts';
import { CardFault } from '../faults/card-fault.ts';
import { findCards } from './find-cards.ts';
import { installedBuild } from './installed-build.ts';

/**
 * The devices of this machine: every GPU that nvidia-smi lists (its MIG devices in MIG mode), or else the CPU. `wanted` is
 * GRAFT_TENSORFLOW: "cpu" hides the GPUs. With "gpu", and where TensorFlow's GPU build is installed, a machine without a usable GPU
 * is an error (`CardFault`), because training on the CPU would be slow. `onFault` receives the faults that are not fatal.
 */
export async function findDevices(
  wanted?: 'cpu' | 'gpu',
  {
    build = installedBuild(),
    onFault = () => {},
  }: { build?: 'cpu' | 'gpu'; onFault?: (fault: CardFault) => void } = {},
): Promise<Device[]> {
  if (wanted === 'cpu') return [{ kind: 'cpu' }];
  try {
    const { cards, faults } = await findCards();
    if (build === 'gpu') {
      for (const fault of faults) onFault(fault);
      return cards;
    }
    throw new CardFault(
      'gpu_not_used',
      "TensorFlow's build for processors is installed, and the machine has a GPU.",
    );
  } catch (fault) {
    if (!(fault instanceof CardFault)) throw fault;
    if (wanted === 'gpu' || build === 'gpu') throw fault;
    // A missing nvidia-smi is normal on a machine without a GPU.
    if (fault.code !== 'gpu_tool_missing') onFault(fault);
    return [{ kind: 'cpu' }];
  }
}
