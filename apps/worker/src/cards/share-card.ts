import type { Device } from '../devices.ts';

const MiB = 2 ** 20;
const GiB = 2 ** 30;

/** Limits in bytes of the card memory of each child process of a worker. Undefined: no card, or a card of unknown size. */
export interface CardShares {
  /** Limit of a trainer on this device. A generator that shares the card has its part. */
  trainer(device: Device): number | undefined;
  /** Limit of the trainer while the generator is closed. */
  alone(device: Device): number | undefined;
  generator: number | undefined;
  /** Checks whether the generator runs on this device as well. */
  isShared(device: Device): boolean;
}

/**
 * Card memory that a process uses besides TensorFlow's allocations: the CUDA context, and the code and workspaces of cuBLAS and cuDNN.
 * Measured 0.5 to 0.8 GiB on several cards. TensorFlow itself leaves 1.5 GiB; a tenth is the bound for small cards.
 */
export function contextBytes(cardBytes: number): number {
  return Math.min(GiB, Math.floor(cardBytes / 10));
}

/**
 * Divides the memory of each card so that the limits add up to its size. `serverBytes`: the operator's limit for a generator that
 * shares a card, default a quarter of the card.
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
    // The generator has a CUDA context too; the rest is divided between both.
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
