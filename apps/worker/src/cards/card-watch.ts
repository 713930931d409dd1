import type { Device } from '../devices.ts';
import { CardFault, cardFaultIn, isCardFault, wordsOf } from '../faults/card-fault.ts';
import type { Unfit } from '../faults/unfit.ts';
import { lookAtCards, nameOf } from './find-cards.ts';
import type { Card } from './parse-cards.ts';

/**
 * Which of a worker's cards can be used now. One that is lost takes no job, and the others go on; it is taken back when it proves
 * itself again.
 */
export class CardWatch {
  /** The cards that its worker was started with. */
  readonly planned: readonly Card[];
  readonly #onChange: (card: Card, fault: Unfit | null) => void;
  /** By nvidia-smi, and by what a trainer found there. */
  readonly #listed = new Map<string, Unfit>();
  readonly #tried = new Map<string, Unfit>();

  /** `onChange` gets a card that is out of use from now on, and why; or with null one that is back. */
  constructor(devices: readonly Device[], onChange: (card: Card, fault: Unfit | null) => void = () => {}) {
    const cards = new Map(
      devices.flatMap((each) => (each.kind === 'gpu' ? [[each.uuid, each] as const] : [])),
    );
    this.planned = [...cards.values()];
    this.#onChange = onChange;
  }

  /** Why this device cannot be used; null: it can, as far as is known. */
  faultOf(device: Device): Unfit | null {
    if (device.kind !== 'gpu') return null;
    return this.#listed.get(device.uuid) ?? this.#tried.get(device.uuid) ?? null;
  }

  /** Whether nvidia-smi reaches it, as far as is known. */
  isThere(device: Device): boolean {
    return device.kind !== 'gpu' || !this.#listed.has(device.uuid);
  }

  /** What is wrong with cards that are out of use. */
  get faults(): { card: Card; fault: Unfit }[] {
    return this.planned.flatMap((card) => {
      const fault = this.faultOf(card);
      return fault ? [{ card, fault }] : [];
    });
  }

  /** Asks nvidia-smi. Throws `Unfit` when no card is left, or when nvidia-smi fails for all. */
  async look(): Promise<void> {
    if (this.planned.length === 0) return;
    const found = await lookAtCards(this.planned);
    for (const card of this.planned) this.#note(this.#listed, card, found.get(card.uuid) ?? null);
    const [first] = found.values();
    if (first && found.size === this.planned.length) throw first;
  }

  /** What came of computing on a device; null: it computes. */
  tried(device: Device, fault: Unfit | null): void {
    if (device.kind === 'gpu') this.#note(this.#tried, device, fault);
  }

  /**
   * Whether a job's fault is that of its card: then the card is out of use until it proves itself, and the worker is not to blame. Null
   * where the fault says nothing of the card, or no other card would be left to go on with. `output`: what the trainer wrote.
   */
  blame(device: Device, { code, output }: { code: string; output: string }): Unfit | null {
    if (device.kind !== 'gpu') return null;
    const others = this.planned.filter((card) => card.uuid !== device.uuid && !this.faultOf(card));
    const own = isCardFault(code) ? code : cardFaultIn(output);
    const said = output === '' ? '' : ` TensorFlow logged: ${wordsOf(output, 1500)}`;
    const fault =
      this.faultOf(device) ??
      (own && new CardFault(own, `A job on ${nameOf(device)} ended with ${code}.${said}`));
    if (!fault || others.length === 0) return null;
    this.#note(this.#tried, device, fault);
    return fault;
  }

  #note(of: Map<string, Unfit>, card: Card, fault: Unfit | null): void {
    const before = this.faultOf(card);
    if (fault) of.set(card.uuid, fault);
    else of.delete(card.uuid);
    const now = this.faultOf(card);
    if (Boolean(before) !== Boolean(now)) this.#onChange(card, now);
  }
}
