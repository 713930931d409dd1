import type { Device } from '../devices.ts';
import { CardFault, cardFaultIn, isCardFault, wordsOf } from '../faults/card-fault.ts';
import type { UnhealthyReason } from '../faults/unfit.ts';
import { lookAtCards, nameOf } from './find-cards.ts';
import type { Card } from './parse-cards.ts';

/**
 * Which of a worker's cards are usable now. A lost card gets no jobs while the others continue; it is used again once it passes the
 * check.
 */
export class CardWatch {
  /** The cards that its worker was started with. */
  readonly planned: readonly Card[];
  readonly #onChange: (card: Card, fault: UnhealthyReason | null) => void;
  /** Faults by card UUID: those that nvidia-smi reports, and those that a trainer found on the card. */
  readonly #listed = new Map<string, UnhealthyReason>();
  readonly #tried = new Map<string, UnhealthyReason>();

  /** `onChange` is called with a card and its fault when the card becomes unusable, and with null when it is usable again. */
  constructor(
    devices: readonly Device[],
    onChange: (card: Card, fault: UnhealthyReason | null) => void = () => {},
  ) {
    const cards = new Map(
      devices.flatMap((each) => (each.kind === 'gpu' ? [[each.uuid, each] as const] : [])),
    );
    this.planned = [...cards.values()];
    this.#onChange = onChange;
  }

  /** Why this device cannot be used; null where no fault is known. */
  faultOf(device: Device): UnhealthyReason | null {
    if (device.kind !== 'gpu') return null;
    return this.#listed.get(device.uuid) ?? this.#tried.get(device.uuid) ?? null;
  }

  /** Checks whether nvidia-smi lists the device, as far as is known. */
  isThere(device: Device): boolean {
    return device.kind !== 'gpu' || !this.#listed.has(device.uuid);
  }

  /** The faults of the cards that are unusable now. */
  get faults(): { card: Card; fault: UnhealthyReason }[] {
    return this.planned.flatMap((card) => {
      const fault = this.faultOf(card);
      return fault ? [{ card, fault }] : [];
    });
  }

  /** Updates the faults from nvidia-smi. Throws `UnhealthyReason` when no card is usable, or when nvidia-smi fails for all of them. */
  async look(): Promise<void> {
    if (this.planned.length === 0) return;
    const found = await lookAtCards(this.planned);
    for (const card of this.planned) this.#note(this.#listed, card, found.get(card.uuid) ?? null);
    const [first] = found.values();
    if (first && found.size === this.planned.length) throw first;
  }

  /** Records the result of computing on a device; null: it succeeded. */
  tried(device: Device, fault: UnhealthyReason | null): void {
    if (device.kind === 'gpu') this.#note(this.#tried, device, fault);
  }

  /**
   * Decides whether a failed job is the fault of its card. If so, the card is unusable until it passes the check, and the worker is not
   * blamed. Returns null where the fault is not the card's, or where no other card would be usable. `output`: what the trainer wrote.
   */
  blame(device: Device, { code, output }: { code: string; output: string }): UnhealthyReason | null {
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

  #note(of: Map<string, UnhealthyReason>, card: Card, fault: UnhealthyReason | null): void {
    const before = this.faultOf(card);
    if (fault) of.set(card.uuid, fault);
    else of.delete(card.uuid);
    const now = this.faultOf(card);
    if (Boolean(before) !== Boolean(now)) this.#onChange(card, now);
  }
}
