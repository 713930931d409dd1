/** Bits of the eight dots of a braille character, by [row][column] (Unicode block 2800). */
const DOT_BITS = [
  [0x01, 0x08],
  [0x02, 0x10],
  [0x04, 0x20],
  [0x40, 0x80],
] as const;

/** A grid of dots, two columns and four rows per character. Row 0 is at the top. */
export class BrailleCanvas {
  readonly dotsAcross: number;
  readonly dotsDown: number;
  readonly #columns: number;
  readonly #cells: Uint8Array;

  constructor(columns: number, rows: number) {
    this.#columns = columns;
    this.dotsAcross = columns * 2;
    this.dotsDown = rows * 4;
    this.#cells = new Uint8Array(columns * rows);
  }

  dot(x: number, y: number): void {
    if (x < 0 || y < 0 || x >= this.dotsAcross || y >= this.dotsDown) return;
    const cell = (y >> 2) * this.#columns + (x >> 1);
    this.#cells[cell] = this.#cells[cell]! | DOT_BITS[y & 3]![x & 1]!;
  }

  line(fromX: number, fromY: number, toX: number, toY: number): void {
    const steps = Math.max(Math.abs(toX - fromX), Math.abs(toY - fromY), 1);
    for (let i = 0; i <= steps; i++) {
      this.dot(
        Math.round(fromX + ((toX - fromX) * i) / steps),
        Math.round(fromY + ((toY - fromY) * i) / steps),
      );
    }
  }

  /** An array of characters for each row; a cell without dots is a space. */
  rows(): string[][] {
    const rows: string[][] = [];
    for (let start = 0; start < this.#cells.length; start += this.#columns) {
      rows.push(
        Array.from(this.#cells.subarray(start, start + this.#columns), (bits) =>
          bits === 0 ? ' ' : String.fromCharCode(0x2800 + bits),
        ),
      );
    }
    return rows;
  }
}
