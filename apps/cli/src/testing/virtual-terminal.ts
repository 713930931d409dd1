import type { Terminal } from '../draw/live-region.ts';

/** A terminal in memory that supports the control sequences that the command uses. `screen`: the visible text. */
export class VirtualTerminal implements Terminal {
  readonly isTTY = true;
  readonly columns: number;
  readonly rows: number;
  cursorVisible = true;
  #lines: string[][] = [[]];
  #row = 0;
  #column = 0;

  constructor(columns: number, rows: number) {
    this.columns = columns;
    this.rows = rows;
  }

  write(text: string): void {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the pattern matches control sequences.
    for (const part of text.matchAll(/\x1b\[(\??[0-9;]*)([A-Za-z])|([^\x1b])/gu)) {
      if (part[3] !== undefined) this.#put(part[3]);
      else this.#control(part[2]!, part[1]!);
    }
  }

  get screen(): string {
    return this.#lines
      .map((line) =>
        Array.from(line, (cell) => cell ?? ' ')
          .join('')
          .trimEnd(),
      )
      .join('\n')
      .trimEnd();
  }

  #put(character: string): void {
    if (character === '\n') {
      this.#row++;
      this.#column = 0;
      this.#lines[this.#row] ??= [];
    } else if (character === '\r') this.#column = 0;
    else {
      if (this.#column === this.columns) throw new Error('a line wrapped');
      this.#lines[this.#row]![this.#column++] = character;
    }
  }

  #control(command: string, argument: string): void {
    const line = this.#lines[this.#row]!;
    if (command === 'A') this.#row -= Number(argument);
    else if (command === 'K') line.length = Math.min(line.length, this.#column);
    else if (command === 'J') {
      line.length = Math.min(line.length, this.#column);
      this.#lines.length = this.#row + 1;
    } else if (argument === '?25') this.cursorVisible = command === 'h';
    else if (command !== 'm') throw new Error(`unknown control sequence ${argument}${command}`);
    if (this.#row < 0) throw new Error('the cursor left the screen');
  }
}
