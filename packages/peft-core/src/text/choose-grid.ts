import { packRows } from './pack.ts';

/** The static shape of every micro-batch: rows × tokens positions, and room for `labels` targets, or examples to embed. */
export interface GridShape {
  rows: number;
  tokens: number;
  labels: number;
  /** Of one example, at most. */
  sequences: number;
}

const TOKEN_MULTIPLE = 32;
const LABEL_MULTIPLE = 16;
/** Rows are no longer than this unless an example is: attention grows with the square of a row. */
const ROW_TARGET = 512;
/**
 * Row length at which attention costs as much as the rest of a layer. Counted in multiplications that is six times the
 * hidden size (4·T·H against 24·H² per token); softmax and its memory traffic bring it down.
 */
const ATTENTION_PARITY = 2048;
/** Micro-batches that all row lengths are tried on; the best few are then measured on all. */
const SAMPLE = 512;

/**
 * The grid that computes least over all of `microBatches` (sequence indices each). `widths` are the positions a sequence
 * takes, `labelCounts` its labels.
 */
export function chooseGrid(
  microBatches: ArrayLike<number>[],
  widths: ArrayLike<number>,
  labelCounts: ArrayLike<number>,
  packing: boolean,
): Omit<GridShape, 'sequences'> {
  const used = microBatches.filter((batch) => batch.length > 0);
  const longest = roundUp(
    maximum(used.map((batch) => maximum(Array.from(batch, (i) => widths[i] as number)))),
    TOKEN_MULTIPLE,
  );
  const labels = roundUp(maximum(used.map((batch) => sum(batch, labelCounts))), LABEL_MULTIPLE);
  if (!packing) return { rows: maximum(used.map((batch) => batch.length)), tokens: longest, labels };

  const rowsFor = (batches: ArrayLike<number>[], tokens: number) =>
    maximum(batches.map((batch) => packRows(batch, widths, tokens).rows));
  // The fullest micro-batches decide how many rows there must be.
  const fullest = used
    .map((batch) => ({ batch, tokens: sum(batch, widths) }))
    .sort((a, b) => b.tokens - a.tokens)
    .slice(0, SAMPLE)
    .map(({ batch }) => batch);
  const candidates: { tokens: number; cost: number }[] = [];
  for (let tokens = longest; tokens <= Math.max(longest, ROW_TARGET); tokens += TOKEN_MULTIPLE) {
    candidates.push({ tokens, cost: cost(rowsFor(fullest, tokens), tokens) });
  }
  candidates.sort((a, b) => a.cost - b.cost || a.tokens - b.tokens);
  const measured = candidates.slice(0, 3).map(({ tokens }) => ({ rows: rowsFor(used, tokens), tokens }));
  measured.sort((a, b) => cost(a.rows, a.tokens) - cost(b.rows, b.tokens) || a.tokens - b.tokens);
  return { ...(measured[0] as { rows: number; tokens: number }), labels };
}

function cost(rows: number, tokens: number): number {
  return rows * tokens * (1 + tokens / ATTENTION_PARITY);
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

function sum(indices: ArrayLike<number>, values: ArrayLike<number>): number {
  let total = 0;
  for (let i = 0; i < indices.length; i++) total += values[indices[i] as number] as number;
  return total;
}

function maximum(values: number[]): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}
