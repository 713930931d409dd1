import type { Deadline } from './deadline.ts';

/** A stretch of the text that is tokenised as one, or an added token. */
interface TextPart {
  /** In the text, UTF-16 units. */
  from: number;
  to: number;
  /** Number of its first token. */
  first: number;
  /** What its tokens' lengths count; null for an added token. */
  surface: string | null;
}

/** Tokens of a text as they are found, and, where they are asked for, which of them belongs where. */
export class EncodedText {
  readonly ids: number[] = [];
  /** How much of its part's surface each token covers; null where nobody asks. */
  readonly lengths: number[] | null;
  readonly parts: TextPart[] = [];
  readonly #deadline: Pick<Deadline, 'check'> | null;
  #ticks = 0;
  #fusesFrom = 0;

  constructor({
    withPlaces = false,
    deadline = null,
  }: { withPlaces?: boolean; deadline?: Pick<Deadline, 'check'> | null } = {}) {
    this.lengths = withPlaces ? [] : null;
    this.#deadline = deadline;
  }

  /** A word is next. Throws `text_too_slow` when the time is over. */
  tick(): void {
    if (this.#deadline && (this.#ticks++ & 1023) === 0) this.#deadline.check();
  }

  /** The tokens that are pushed next are those of a part. `surface`: called where places are asked for. */
  part(from: number, to: number, surface: () => string | null): void {
    if (this.lengths) this.parts.push({ from, to, first: this.ids.length, surface: surface() });
  }

  push(id: number, length: number): void {
    this.ids.push(id);
    this.lengths?.push(length);
  }

  /** As `push`; the token before it is extended if it is the same and `fuses`. */
  pushUnknown(id: number, length: number, fuses: boolean): void {
    if (fuses && this.ids.length > this.#fusesFrom && this.ids.at(-1) === id) this.extend(length);
    else this.push(id, length);
  }

  /** Unknown tokens that follow are not fused with those before. */
  separate(): void {
    this.#fusesFrom = this.ids.length;
  }

  /** Text that no token of its own stands for belongs to the token before it. */
  extend(length: number): void {
    if (this.lengths && this.lengths.length > 0) this.lengths[this.lengths.length - 1]! += length;
  }
}
