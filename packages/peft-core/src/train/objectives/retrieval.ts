/** How well positives are found among the texts of other pairs: a measure that does not depend on the batches of training. */
import type { InputSpec, Program, ProgramFunction, tf } from '@graft/tf-graph';
import { CONTRAST_SCALE } from './embedding-loss.ts';
import type { BatchOf } from './loss.ts';

/** Anchors and candidates that are compared at a time. */
const TILE = { anchors: 128, candidates: 256 };
/** Pairs of a pool at most. More are measured in several pools of nearly the same size, in the order of their file. */
const MOST_PAIRS = 1000;

type Compared = Record<'anchors' | 'candidates', InputSpec>;

/** `embed` gives the unit vectors of a batch, `(sequences · labels, width)`; `compare` the cosines of a tile of them. */
export interface Retrieval {
  embed: ProgramFunction<BatchOf<InputSpec>, { units: tf.Tensor }>;
  compare: ProgramFunction<Compared, { cosines: tf.Tensor }>;
  width: number;
}

export const compareInputs = (width: number): Compared => ({
  anchors: { shape: [TILE.anchors, width], dtype: 'float32' },
  candidates: { shape: [TILE.candidates, width], dtype: 'float32' },
});

/** The pools that so many pairs are measured in: [from, to) of each. */
export function poolsOf(pairs: number): { from: number; to: number }[] {
  const count = Math.ceil(pairs / MOST_PAIRS);
  const cut = (pool: number) => Math.round((pool * pairs) / count);
  return Array.from({ length: count }, (_, pool) => ({ from: cut(pool), to: cut(pool + 1) }));
}

/** A pair that was embedded. */
export interface EmbeddedPair {
  /** Numbers of its texts, the anchor's first, and their unit vectors. */
  texts: number[];
  vectors: Float32Array[];
}

/** Sums over pairs. */
export interface Ranked {
  /** Cross entropy of the positive among all candidates. */
  loss: number;
  /** Pairs whose positive is the nearest, or among the ten nearest. */
  first: number;
  amongTen: number;
  /** Of 1 / rank. */
  reciprocal: number;
}

/**
 * Ranks the positive of each pair of a pool among all positives and negatives of it, each text once, by the cosine to the anchor. As in
 * training, the anchor itself and other right answers are no candidates: positives of pairs that have a text in common with this one
 * (`contrastiveLoss`). A candidate that is as near as the positive comes before it.
 */
export function rankPool(
  program: Program,
  retrieval: Pick<Retrieval, 'compare' | 'width'>,
  pool: readonly EmbeddedPair[],
): Ranked {
  const places = new Map<number, number>();
  const candidates: Float32Array[] = [];
  /** Of each text, the pairs that it is the anchor or the positive of. */
  const pairsOf = new Map<number, number[]>();
  for (const [i, { texts, vectors }] of pool.entries()) {
    for (const text of new Set(texts.slice(0, 2))) pairsOf.set(text, [...(pairsOf.get(text) ?? []), i]);
    for (const [part, text] of texts.entries()) {
      if (part === 0 || places.has(text)) continue;
      places.set(text, candidates.length);
      candidates.push(vectors[part]!);
    }
  }
  const anchors = pool.map(({ vectors }) => vectors[0]!);
  const cosines = compareAll(program, retrieval, anchors, candidates);
  const sums: Ranked = { loss: 0, first: 0, amongTen: 0, reciprocal: 0 };
  for (const [i, { texts }] of pool.entries()) {
    const [anchor, positive] = texts as [number, number];
    const own = places.get(positive)!;
    const others = new Set([anchor, positive].flatMap((text) => pairsOf.get(text)!));
    const leftOut = new Set([
      places.get(anchor),
      ...Array.from(others, (j) => places.get(pool[j]!.texts[1]!)),
    ]);
    const row = cosines.subarray(i * candidates.length, (i + 1) * candidates.length);
    const wanted = row[own]!;
    let rank = 1;
    let sum = 1;
    for (const [place, cosine] of row.entries()) {
      if (place === own || leftOut.has(place)) continue;
      // Not a number, of a model that has diverged, is no rank either.
      if (!(cosine < wanted)) rank++;
      sum += Math.exp(CONTRAST_SCALE * (cosine - wanted));
    }
    sums.loss += Math.log(sum);
    if (rank === 1) sums.first++;
    if (rank <= 10) sums.amongTen++;
    sums.reciprocal += 1 / rank;
  }
  return sums;
}

/** The cosine of every anchor with every candidate, `(anchors, candidates)`. */
function compareAll(
  program: Program,
  { compare, width }: Pick<Retrieval, 'compare' | 'width'>,
  anchors: readonly Float32Array[],
  candidates: readonly Float32Array[],
): Float32Array {
  const cosines = new Float32Array(anchors.length * candidates.length);
  const tiles = (vectors: readonly Float32Array[], size: number) =>
    Array.from({ length: Math.ceil(vectors.length / size) }, (_, tile) => {
      const rows = new Float32Array(size * width);
      const own = vectors.slice(tile * size, (tile + 1) * size);
      for (const [row, vector] of own.entries()) rows.set(vector, row * width);
      return { rows, from: tile * size, length: own.length };
    });
  const columns = tiles(candidates, TILE.candidates);
  for (const a of tiles(anchors, TILE.anchors)) {
    for (const c of columns) {
      const found = program.run(compare, { anchors: a.rows, candidates: c.rows }).cosines
        .data as Float32Array;
      for (let row = 0; row < a.length; row++) {
        const start = row * TILE.candidates;
        cosines.set(found.subarray(start, start + c.length), (a.from + row) * candidates.length + c.from);
      }
    }
  }
  return cosines;
}
