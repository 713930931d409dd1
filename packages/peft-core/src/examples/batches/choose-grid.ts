import { packRows, type RowSize, type Widths } from './pack-rows.ts';

/** Static shape of every micro-batch: rows × tokens positions, and capacity for `labels` targets or examples to embed. */
export interface GridShape {
  rows: number;
  tokens: number;
  /** Positions of a row in an encoder-decoder's encoder; 0 for other models. */
  inputTokens: number;
  labels: number;
  /** Maximum number of sequences in an example. */
  sequences: number;
  /** Maximum number of sequences in a micro-batch. */
  spans: number;
  /** Maximum number of preference pairs in a micro-batch. Absent: examples are no pairs. */
  pairs?: number;
}

const TOKEN_MULTIPLE = 32;
export const LABEL_MULTIPLE = 16;
/** Rows are no longer than this unless an example is: the cost of attention grows with the square of a row's length. */
const ROW_TARGET = 512;
/**
 * Row length at which attention costs as much as the rest of a layer. Counted in multiplications it is six times the
 * hidden size (4·T·H against 24·H² per token); softmax and its memory traffic reduce it.
 */
const ATTENTION_PARITY = 2048;
/** All row lengths are tried on this many micro-batches. The best few are then measured on all. */
const SAMPLE = 512;

/**
 * The grid with the least computation for all of `microBatches` (sequence indices each). `widths` are the positions that each sequence
 * occupies, `labelCounts` its labels.
 */
export function chooseGrid(
  microBatches: ArrayLike<number>[],
  widths: Widths,
  labelCounts: ArrayLike<number>,
  packing: boolean,
): Omit<GridShape, 'sequences'> {
  const used = microBatches.filter((batch) => batch.length > 0);
  const longestOf = (each: ArrayLike<number>) =>
    roundUp(
      maximum(used.map((batch) => maximum(Array.from(batch, (i) => each[i] as number)))),
      TOKEN_MULTIPLE,
    );
  const longest = {
    tokens: longestOf(widths.own),
    inputTokens: widths.inputs ? longestOf(widths.inputs) : 0,
  };
  const labels = roundUp(maximum(used.map((batch) => sum(batch, labelCounts))), LABEL_MULTIPLE);
  const spans = maximum(used.map((batch) => batch.length));
  if (!packing) return { rows: spans, ...longest, labels, spans };

  // The fullest micro-batches determine the number of rows.
  const tokensOf = (batch: ArrayLike<number>) =>
    sum(batch, widths.own) + (widths.inputs ? sum(batch, widths.inputs) : 0);
  const fullest = used
    .map((batch) => ({ batch, tokens: tokensOf(batch) }))
    .sort((a, b) => b.tokens - a.tokens)
    .slice(0, SAMPLE)
    .map(({ batch }) => batch);
  const candidates = rowSizes(longest).map((limit) => ({
    limit,
    cost: costOf(packed(fullest, widths, limit)),
  }));
  candidates.sort((a, b) => a.cost - b.cost || a.limit.tokens - b.limit.tokens);
  const measured = candidates.slice(0, 3).map(({ limit }) => packed(used, widths, limit));
  measured.sort((a, b) => costOf(a) - costOf(b) || a.tokens - b.tokens || a.inputTokens - b.inputTokens);
  return { ...(measured[0] as (typeof measured)[0]), labels, spans };
}

/** Candidate limits of a row's length. For an encoder-decoder, one half is limited, and the other becomes as wide as it must. */
function rowSizes({ tokens, inputTokens }: RowSize): RowSize[] {
  const lengths = (shortest: number) =>
    Array.from(
      { length: 1 + Math.max(0, Math.floor((ROW_TARGET - shortest) / TOKEN_MULTIPLE)) },
      (_, i) => shortest + i * TOKEN_MULTIPLE,
    );
  const free = Number.POSITIVE_INFINITY;
  const own = lengths(tokens).map((each) => ({ tokens: each, inputTokens: free }));
  if (inputTokens === 0) return own;
  return [...own, ...lengths(inputTokens).map((each) => ({ tokens: free, inputTokens: each }))];
}

/** The grid that holds every batch when rows are packed up to `limit`. A half without a limit becomes as wide as it must. */
function packed(batches: ArrayLike<number>[], widths: Widths, limit: RowSize): RowSize & { rows: number } {
  const grid = { rows: 0, tokens: 0, inputTokens: 0 };
  for (const batch of batches) {
    const { placements, rows } = packRows(batch, widths, limit);
    grid.rows = Math.max(grid.rows, rows);
    for (const { sequence, offset, inputOffset } of placements) {
      grid.tokens = Math.max(grid.tokens, offset + (widths.own[sequence] as number));
      if (widths.inputs)
        grid.inputTokens = Math.max(grid.inputTokens, inputOffset + (widths.inputs[sequence] as number));
    }
  }
  const width = (limit: number, reached: number) =>
    Number.isFinite(limit) ? limit : roundUp(reached, TOKEN_MULTIPLE);
  return {
    rows: grid.rows,
    tokens: width(limit.tokens, grid.tokens),
    inputTokens: widths.inputs ? width(limit.inputTokens, grid.inputTokens) : 0,
  };
}

/** Cost of computing a grid, in positions of a short row. */
export function costOf({ rows, tokens, inputTokens }: RowSize & { rows: number }): number {
  const half = (tokens: number) => tokens * (1 + tokens / ATTENTION_PARITY);
  return rows * (half(tokens) + half(inputTokens));
}

export function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

export function sum(indices: ArrayLike<number>, values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < indices.length; i++) total += values[indices[i] as number] as number;
  return total;
}

export function maximum(values: number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}
