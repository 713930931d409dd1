/** Measures how well positives are found among the texts of other pairs, independently of the batches of training. */
import type { InputSpec, Program, ProgramFunction, tf } from '@graft/tf-graph';
import { fillBatch, TextNumbers } from '../../../examples/index.ts';
import { similarities } from '../../../nn/pooling.ts';
import { embedBatch } from '../embeddings/embeddings.ts';
import type { MeasureDefinition, WholeMeasure } from '../objective-loss.ts';
import { CONTRAST_SCALE } from './contrast.ts';

/** Numbers of anchors and candidates that are compared at a time. */
const TILE = { anchors: 128, candidates: 256 };
/** Maximum number of pairs in a pool. More pairs are measured in several pools of nearly equal size, in file order. */
const MAX_PAIRS = 1000;

type Compared = Record<'anchors' | 'candidates', InputSpec>;
/** Computes the cosines of a tile. */
type Compare = ProgramFunction<Compared, { cosines: tf.Tensor }>;

const compareInputs = (width: number): Compared => ({
  anchors: { shape: [TILE.anchors, width], dtype: 'float32' },
  candidates: { shape: [TILE.candidates, width], dtype: 'float32' },
});

/** The pools in which `pairs` pairs are measured: [from, to) of each. */
function poolsOf(pairs: number): { from: number; to: number }[] {
  const count = Math.ceil(pairs / MAX_PAIRS);
  const cut = (pool: number) => Math.round((pool * pairs) / count);
  return Array.from({ length: count }, (_, pool) => ({ from: cut(pool), to: cut(pool + 1) }));
}

interface EmbeddedPair {
  /** Numbers of the pair's texts, the anchor's first, and their unit vectors. */
  texts: number[];
  vectors: Float32Array[];
  weight: number;
}

/** Sums over pairs. */
interface Ranked {
  /** Cross entropy of the positive among all candidates, times the pair's weight. */
  loss: number;
  /** Number of pairs whose positive is the nearest, or among the ten nearest. */
  first: number;
  amongTen: number;
  /** Sum of 1 / rank. */
  reciprocal: number;
}

/** Measures how well the positives of a pool are found in it. Batches only limit how many texts are embedded at a time. */
export function defineMeasure({ define, inputs, model, grid }: MeasureDefinition): WholeMeasure {
  const width = model.architecture.hiddenSize;
  const embed = define('evaluate', inputs, (inputs) => ({
    units: embedBatch({ model, grid, inputs }, null),
  }));
  const compare: Compare = define('compare', compareInputs(width), ({ anchors, candidates }) => ({
    cosines: similarities(anchors, candidates),
  }));
  return {
    measureAll(program, { plan, examples, layout }, feedsOf) {
      const { sequences, labels } = plan.shape;
      const numbers = new TextNumbers();
      const pools = poolsOf(examples.length);
      const sums: Ranked = { loss: 0, first: 0, amongTen: 0, reciprocal: 0 };
      /** By the index of the example. */
      const held = new Map<number, EmbeddedPair>();
      let done = 0;
      for (let step = 0; step < plan.steps; step++) {
        const batch = fillBatch(plan, examples, step, 0, layout, numbers);
        const units = program.run(embed, feedsOf(batch)).units.data;
        // Within a batch, examples are numbered in order of appearance.
        const order = new Set(plan.micro(step, 0).map(({ example }) => example));
        for (const [k, example] of [...order].entries()) {
          const vectors = Array.from({ length: sequences }, (_, part) => part * labels + k).filter(
            (vector) => batch.texts[vector]! >= 0,
          );
          held.set(example, {
            weight: examples[example]!.weight ?? 1,
            texts: vectors.map((vector) => batch.texts[vector]!),
            vectors: vectors.map(
              (vector) => units.slice(vector * width, (vector + 1) * width) as Float32Array,
            ),
          });
        }
        done += order.size;
        while (pools[0] && pools[0].to <= done) {
          const { from, to } = pools.shift()!;
          const pool = Array.from({ length: to - from }, (_, i) => held.get(from + i)!);
          const ranked = rankPool(program, compare, width, pool);
          for (const key of Object.keys(sums) as (keyof Ranked)[]) sums[key] += ranked[key];
          for (let i = from; i < to; i++) held.delete(i);
        }
      }
      const count = examples.length;
      const weight = examples.reduce((sum, each) => sum + (each.weight ?? 1), 0);
      return {
        loss: sums.loss / weight,
        weight,
        accuracy: sums.first / count,
        wanted: [],
        predicted: [],
        classes: 0,
        means: { among_ten: sums.amongTen / count, reciprocal_rank: sums.reciprocal / count },
      };
    },
  };
}

/**
 * Ranks the positive of each pair of a pool among all its positives and negatives, each text once, by cosine to the anchor. As in
 * training, the anchor itself and other correct answers are not candidates: positives of pairs that share a text with this one
 * (`contrastiveLoss`). A candidate as near as the positive ranks before it.
 */
function rankPool(program: Program, compare: Compare, width: number, pool: readonly EmbeddedPair[]): Ranked {
  const places = new Map<number, number>();
  const candidates: Float32Array[] = [];
  /** For each text, the pairs with this text as anchor or positive. */
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
  const cosines = compareAll(program, compare, width, anchors, candidates);
  const sums: Ranked = { loss: 0, first: 0, amongTen: 0, reciprocal: 0 };
  for (const [i, { texts, weight }] of pool.entries()) {
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
      // `!(a < b)` also counts NaN, from a diverged model, as ranked before the positive.
      if (!(cosine < wanted)) rank++;
      sum += Math.exp(CONTRAST_SCALE * (cosine - wanted));
    }
    sums.loss += weight * Math.log(sum);
    if (rank === 1) sums.first++;
    if (rank <= 10) sums.amongTen++;
    sums.reciprocal += 1 / rank;
  }
  return sums;
}

/** The cosine of every anchor with every candidate, `(anchors, candidates)`. */
function compareAll(
  program: Program,
  compare: Compare,
  width: number,
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
