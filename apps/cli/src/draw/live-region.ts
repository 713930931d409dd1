/** What is drawn on: process.stderr, or a terminal in memory in tests. */
export interface Terminal {
  isTTY?: boolean;
  columns?: number;
  rows?: number;
  write(text: string): unknown;
}

const HIDE_CURSOR = '\x1b[?25l';
const SHOW_CURSOR = '\x1b[?25h';
const CLEAR_BELOW = '\x1b[J';
const CLEAR_REST_OF_LINE = '\x1b[K';

/** Milliseconds between two drawings; drawing more often only costs time. */
export const REDRAW_MS = 80;

/** The live region of a terminal. Null in a log, and on a terminal that cannot move its cursor. */
export function liveRegionOn(terminal: Terminal): LiveRegion | null {
  return terminal.isTTY === true && process.env.TERM !== 'dumb' ? new LiveRegion(terminal) : null;
}

/** Lines at the bottom of a terminal that are drawn again in place. */
export class LiveRegion {
  readonly #terminal: Terminal;
  #drawnLines = 0;
  #cursorHidden = false;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  draw(lines: string[]): void {
    const width = (this.#terminal.columns ?? 80) - 1;
    const hide = this.#cursorHidden ? '' : HIDE_CURSOR;
    this.#cursorHidden = true;
    // A line that wraps would count as two, and the next drawing would begin in the wrong place.
    const text = lines.map((line) => `${truncated(line, width)}${CLEAR_REST_OF_LINE}\n`).join('');
    this.#terminal.write(`${hide}${this.#up()}${text}${CLEAR_BELOW}`);
    this.#drawnLines = lines.length;
  }

  /** Takes the lines off the screen, for text that is to stay. The next `draw` puts them below it. */
  clear(): void {
    this.#terminal.write(`${this.#up()}${CLEAR_BELOW}${this.#cursorHidden ? SHOW_CURSOR : ''}`);
    this.#drawnLines = 0;
    this.#cursorHidden = false;
  }

  /** Leaves the lines where they are. */
  end(): void {
    if (this.#cursorHidden) this.#terminal.write(SHOW_CURSOR);
    this.#drawnLines = 0;
    this.#cursorHidden = false;
  }

  #up(): string {
    return this.#drawnLines === 0 ? '' : `\x1b[${this.#drawnLines}A\r`;
  }
}

/** Cut to `width` visible characters. Colour codes do not count. All our characters are one column wide. */
function truncated(line: string, width: number): string {
  let visible = 0;
  let cut = '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences are control characters.
  for (const part of line.split(/(\x1b\[[0-9;]*m)/)) {
    if (part.startsWith('\x1b[')) {
      cut += part;
      continue;
    }
    const characters = [...part].slice(0, Math.max(0, width - visible));
    visible += characters.length;
    cut += characters.join('');
  }
  return cut;
}
