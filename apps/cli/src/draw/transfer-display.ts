import { type LiveRegion, liveRegionOn, REDRAW_MS, type Terminal } from './live-region.ts';
import { paintFor, progressBar } from './paint.ts';
import { bytes } from './quantities.ts';

/** Shows the progress of an upload or download, only on a terminal. */
export class TransferDisplay {
  readonly #terminal: Terminal;
  readonly #label: string;
  readonly #live: LiveRegion | null;
  #shownAt = Number.NEGATIVE_INFINITY;

  constructor(terminal: Terminal, label: string) {
    this.#terminal = terminal;
    this.#label = label;
    this.#live = liveRegionOn(terminal);
  }

  update(done: number, total: number | null): void {
    const now = performance.now();
    if (this.#live === null || (now - this.#shownAt < REDRAW_MS && done !== total)) return;
    this.#shownAt = now;
    const bar =
      total === null ? '' : `${progressBar(done / Math.max(1, total), 30, paintFor(this.#terminal))}  `;
    const of = total === null ? '' : ` of ${bytes(total)}`;
    this.#live.draw([`${this.#label}  ${bar}${bytes(done)}${of}`]);
  }

  close(): void {
    this.#live?.clear();
  }
}
