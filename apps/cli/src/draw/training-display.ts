import { type LiveRegion, liveRegionOn, REDRAW_MS, type Terminal } from './live-region.ts';
import { paintFor } from './paint.ts';
import { type TrainingState, trainingLine, trainingView } from './training-view.ts';

/** Minimum milliseconds between two lines in a log. */
const LINE_MS = 5_000;

/** Shows the progress of a run: redrawn in place on a terminal, otherwise as a line every few seconds. */
export class TrainingDisplay {
  readonly #terminal: Terminal;
  readonly #hint: string;
  readonly #live: LiveRegion | null;
  #state: TrainingState | null = null;
  #shownAt = Number.NEGATIVE_INFINITY;
  #shownLine = '';
  #shownStatus = '';

  constructor(terminal: Terminal, options: { hint: string }) {
    this.#terminal = terminal;
    this.#hint = options.hint;
    this.#live = liveRegionOn(terminal);
  }

  update(state: TrainingState): void {
    this.#state = state;
    const now = performance.now();
    const finished = state.totalSteps !== null && state.step >= state.totalSteps;
    const pause = this.#live === null ? LINE_MS : REDRAW_MS;
    if (now - this.#shownAt < pause && !finished && state.status === this.#shownStatus) return;
    this.#shownAt = now;
    this.#shownStatus = state.status;
    if (this.#live !== null) {
      this.#draw();
      return;
    }
    const line = trainingLine(state);
    if (line !== this.#shownLine) this.#terminal.write(`${line}\n`);
    this.#shownLine = line;
  }

  /** Prints a permanent line above the drawing. */
  say(text: string): void {
    this.#live?.clear();
    this.#terminal.write(`${text}\n`);
    if (this.#live !== null && this.#state !== null) this.#draw();
  }

  /** Draws the last state, without the hint, and leaves it on the screen. */
  close(): void {
    if (this.#live === null || this.#state === null) return;
    this.#live.draw(this.#lines(''));
    this.#live.end();
    this.#state = null;
  }

  #draw(): void {
    this.#live?.draw(this.#lines(this.#hint));
  }

  #lines(hint: string): string[] {
    if (this.#state === null) return [];
    const lines = trainingView(this.#state, hint, {
      columns: this.#terminal.columns ?? 80,
      rows: this.#terminal.rows ?? 24,
      paint: paintFor(this.#terminal),
    });
    return hint === '' ? lines.slice(0, -2) : lines;
  }
}
