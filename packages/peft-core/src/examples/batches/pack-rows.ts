export interface Placement {
  sequence: number;
  row: number;
  /** Column of its first token. */
  offset: number;
  /** Column of its input's first token in the encoder's grid. */
  inputOffset: number;
}

/** Number of positions of each sequence, by index: in the grid, and for an encoder-decoder also in the encoder's grid. */
export interface Widths {
  own: ArrayLike<number>;
  inputs: ArrayLike<number> | null;
}

/** Number of positions in a row of the grid, and of the encoder's grid. */
export interface RowSize {
  tokens: number;
  inputTokens: number;
}

/**
 * Packs sequences into rows, first-fit decreasing (Johnson 1973): longest first, each into the first row with enough space. Sequences
 * of equal length keep their order, so the layout is a pure function of the arguments.
 */
export function packRows(
  sequences: ArrayLike<number>,
  { own, inputs }: Widths,
  row: RowSize,
): { placements: Placement[]; rows: number } {
  const width = (sequence: number) => own[sequence] as number;
  const input = (sequence: number) => (inputs ? (inputs[sequence] as number) : 0);
  const size = (sequence: number) => width(sequence) + input(sequence);
  const order = Array.from(sequences).sort((a, b) => size(b) - size(a));
  const filled: RowSize[] = [];
  const placements = order.map((sequence) => {
    const fits = ({ tokens, inputTokens }: RowSize) =>
      tokens + width(sequence) <= row.tokens && inputTokens + input(sequence) <= row.inputTokens;
    let at = filled.findIndex(fits);
    if (at === -1) at = filled.push({ tokens: 0, inputTokens: 0 }) - 1;
    const used = filled[at] as RowSize;
    const placement = { sequence, row: at, offset: used.tokens, inputOffset: used.inputTokens };
    used.tokens += width(sequence);
    used.inputTokens += input(sequence);
    return placement;
  });
  return { placements, rows: filled.length };
}

/** Places one sequence in each row, in the given order. */
export function unpackedRows(sequences: ArrayLike<number>): { placements: Placement[]; rows: number } {
  const placements = Array.from(sequences, (sequence, row) => ({ sequence, row, offset: 0, inputOffset: 0 }));
  return { placements, rows: placements.length };
}
