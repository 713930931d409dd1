/** Cuts streamed text before the first stop string, which may itself be split across pieces. */
export class StopMatcher {
  readonly #stops: string[];
  #held = '';
  matched = false;

  constructor(stops: string[]) {
    this.#stops = stops.filter((s) => s.length > 0);
  }

  /** Adds text; returns what may be emitted now. An ending that could still become a stop string is held back. */
  push(text: string): string {
    if (this.matched) return '';
    const all = this.#held + text;
    const at = Math.min(...this.#stops.map((s) => all.indexOf(s)).filter((i) => i >= 0));
    if (Number.isFinite(at)) {
      this.matched = true;
      this.#held = '';
      return all.slice(0, at);
    }
    const keep = Math.max(0, ...this.#stops.map((stop) => overlap(all, stop)));
    this.#held = all.slice(all.length - keep);
    return all.slice(0, all.length - keep);
  }

  /** The text still held back when the input ends. */
  end(): string {
    const rest = this.matched ? '' : this.#held;
    this.#held = '';
    return rest;
  }
}

/** Length of the longest suffix of `text` that is a prefix of `stop`. */
function overlap(text: string, stop: string): number {
  for (let n = Math.min(text.length, stop.length - 1); n > 0; n--)
    if (text.endsWith(stop.slice(0, n))) return n;
  return 0;
}
