import type { Device } from '../devices.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;

/** How much of its card each child process of a worker may hold, in bytes; undefined: it has no card, or one that does not tell. */
export interface CardShares {
  /** A trainer on this device, beside a generator where that shares the card. */
  trainer(device: Device): number | undefined;
  /** The same while the generator is closed. */
  alone(device: Device): number | undefined;
  generator: number | undefined;
  /** Whether trainers of this device have the generator beside them. */
  isShared(device: Device): boolean;
}

/**
 * What a process takes of a card besides what TensorFlow allocates: CUDA's context, and the code and workspaces of cuBLAS and cuDNN. That
 * is 0.5 to 0.8 GiB on cards with several; TensorFlow itself leaves 1.5 GiB for it, and a tenth is a bound for small ones.
 */
export function contextBytes(cardBytes: number): number {
  return Math.min(GiB, Math.floor(cardBytes / 10));
}

/**
 * Limits that add up to what a card has. `serverBytes`: what the operator gives a generator that shares a card; by default a quarter.
 */
export function shareCards(
  plan: { trainers: readonly Device[]; generator: Device },
  serverBytes?: number,
): CardShares {
  const { generator } = plan;
  const isShared = (device: Device) =>
    device.kind === 'gpu' && generator.kind === 'gpu' && device.uuid === generator.uuid;
  const alone = (device: Device): number | undefined => {
    if (device.kind !== 'gpu' || device.memoryMib === 0) return undefined;
    const bytes = device.memoryMib * MiB;
    return bytes - contextBytes(bytes);
  };
  const beside = (whole: number): { trainer: number; generator: number } => {
    // Its context is the generator's too: the rest is for both.
    const both = whole - contextBytes(whole);
    const wanted = serverBytes ?? whole / 4;
    const generator = Math.floor(Math.min(wanted, both * 0.9));
    return { trainer: both - generator, generator };
  };
  const whole = alone(generator);
  const isBeside = plan.trainers.some(isShared);
  return {
    trainer: (device) => {
      const bytes = alone(device);
      return bytes !== undefined && isShared(device) ? beside(bytes).trainer : bytes;
    },
    alone,
    generator: whole !== undefined && isBeside ? beside(whole).generator : whole,
    isShared,
  };
}
