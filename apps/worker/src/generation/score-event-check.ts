import type { GeneratorMessages } from './generator-protocol.ts';

/** Checks the order of a generator's events for a request of vectors or classes: one start, one result for each input, one end. */
export class ScoreEventCheck {
  readonly #left: Set<number>;
  #hasStarted = false;
  #isOver = false;

  constructor(inputs: number) {
    this.#left = new Set(Array.from({ length: inputs }, (_, i) => i));
  }

  /** Why the event is invalid; null where it is valid. */
  refuse(event: GeneratorMessages['event']): string | null {
    if (this.#isOver) return `${event.type} after the end`;
    switch (event.type) {
      case 'refused':
        this.#isOver = true;
        return null;
      case 'inputs':
        return this.#hasStarted ? 'inputs after the start' : null;
      case 'start': {
        if (this.#hasStarted) return 'a second start';
        this.#hasStarted = true;
        return null;
      }
      case 'scores':
        if (!this.#hasStarted) return 'scores before the start';
        return event.scores.every(({ index }) => this.#left.delete(index)) ? null : 'a result of no input';
      case 'scored':
        this.#isOver = true;
        return this.#left.size === 0 ? null : 'an end without all results';
      default:
        return `${event.type} for a request of scores`;
    }
  }
}
