/** Where one sequence lies in the grid of a micro-batch. */
export interface Placement {
  /** Its index. */
  sequence: number;
  row: number;
  /** Column of its first token. */
  offset: number;
}

/**
 * Lays sequences into rows of `tokens` columns, first-fit decreasing (Johnson 1973): longest first, each into the first
 * row that holds it. Equal lengths keep their order, so the layout is a pure function of its arguments.
 */
export function packRows(
  sequences: ArrayLike<number>,
  widths: ArrayLike<number>,
  tokens: number,
): { placements: Placement[]; rows: number } {
  const order = Array.from(sequences);
  order.sort((a, b) => (widths[b] as number) - (widths[a] as number));
  const used: number[] = [];
  const placements = order.map((sequence) => {
    const width = widths[sequence] as number;
    let row = used.findIndex((filled) => filled + width <= tokens);
    if (row === -1) row = used.push(0) - 1;
    const offset = used[row] as number;
    used[row] = offset + width;
    return { sequence, row, offset };
  });
  return { placements, rows: used.length };
}

/** One sequence per row, in the order given. */
export function oneRowEach(sequences: ArrayLike<number>): { placements: Placement[]; rows: number } {
  const placements = Array.from(sequences, (sequence, row) => ({ sequence, row, offset: 0 }));
  return { placements, rows: placements.length };
}
