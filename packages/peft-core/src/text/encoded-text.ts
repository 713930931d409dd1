import type { Deadline } from './deadline.ts';

/** A stretch of the text that is tokenised as one, or an added token. */
interface TextPart {
  /** Range in the text, in UTF-16 units. */
  from: number;
  to: number;
  /** Index of its first token. */
  first: number;
  /** The text that the lengths of its tokens refer to; null for an added token. */
  surface: string | null;
}

/** Collects the tokens of a text and, if requested, their places in the text. */
export class EncodedText {
  readonly ids: number[] = [];
  /** Length of its part's surface that each token covers; null if places are not requested. */
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

  /** Called before each word. Throws `text_too_slow` when the time is over. */
  tick(): void {
    if (this.#deadline && (this.#ticks++ & 1023) === 0) this.#deadline.check();
  }

  /** Starts a part: the tokens pushed next belong to it. `surface`: only called if places are requested. */
  part(from: number, to: number, surface: () => string | null): void {
    if (this.lengths) this.parts.push({ from, to, first: this.ids.length, surface: surface() });
  }

  push(id: number, length: number): void {
    this.ids.push(id);
    this.lengths?.push(length);
  }

  /** Like `push`; extends the preceding token instead if that is the same and `fuses` is set. */
  pushUnknown(id: number, length: number, fuses: boolean): void {
    if (fuses && this.ids.length > this.#fusesFrom && this.ids.at(-1) === id) this.extend(length);
    else this.push(id, length);
  }

  /** Prevents fusing unknown tokens that follow with those before. */
  separate(): void {
    this.#fusesFrom = this.ids.length;
  }

  /** Assigns text without its own token to the preceding token. */
  extend(length: number): void {
    if (this.lengths && this.lengths.length > 0) this.lengths[this.lengths.length - 1]! += length;
  }
}
