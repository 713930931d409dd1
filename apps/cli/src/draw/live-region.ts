/** The output of a drawing: process.stderr, or a virtual terminal in tests. */
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

/** Minimum milliseconds between two drawings. */
export const REDRAW_MS = 80;

/** The live region of a terminal. Null for a log, and for a terminal that cannot move its cursor. */
export function liveRegionOn(terminal: Terminal): LiveRegion | null {
  return terminal.isTTY === true && process.env.TERM !== 'dumb' ? new LiveRegion(terminal) : null;
}

/** Lines at the bottom of a terminal that are redrawn in place. */
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
    // A line that wraps would count as two, and the next drawing would start in the wrong place.
    const text = lines.map((line) => `${truncated(line, width)}${CLEAR_REST_OF_LINE}\n`).join('');
    this.#terminal.write(`${hide}${this.#up()}${text}${CLEAR_BELOW}`);
    this.#drawnLines = lines.length;
  }

  /** Clears the lines, before permanent text is written. The next `draw` puts them below that text. */
  clear(): void {
    this.#terminal.write(`${this.#up()}${CLEAR_BELOW}${this.#cursorHidden ? SHOW_CURSOR : ''}`);
    this.#drawnLines = 0;
    this.#cursorHidden = false;
  }

  /** Leaves the lines on the screen. */
  end(): void {
    if (this.#cursorHidden) this.#terminal.write(SHOW_CURSOR);
    this.#drawnLines = 0;
    this.#cursorHidden = false;
  }

  #up(): string {
    return this.#drawnLines === 0 ? '' : `\x1b[${this.#drawnLines}A\r`;
  }
}

/** Truncates a line to `width` visible characters. Colour codes do not count; all other characters are one column wide. */
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
