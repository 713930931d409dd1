/**
 * A contrastive loss over a batch that is embedded in mini-batches, so that a step keeps the activations of one of these at a time. Each
 * mini-batch is embedded once without them; the loss gives the gradients of all embeddings; then each is embedded again, with the same
 * dropout, and they flow back through it. Loss and gradients are those of the whole batch.
 * Source: Gao et al. 2021, arXiv:2101.06983 (GradCache); sentence-transformers, CachedMultipleNegativesRankingLoss.
 */
import {
  type InputSpec,
  type Program,
  type ProgramFunction,
  type RunOutput,
  scalarOf,
  type TypedArray,
  tf,
} from '@graft/tf-graph';
import type { FilledBatch, GridShape } from '../../examples/index.ts';
import { contrastiveLoss } from './embedding-loss.ts';
import type { NoiseOf } from './embedding-noise.ts';
import type { BatchOf } from './loss.ts';
import { feedsOf } from './objective.ts';

type Seeded = BatchOf<InputSpec> & { seed: InputSpec } & (NoiseOf<InputSpec> | Record<never, never>);
type Contrasted = Record<'units' | 'texts' | 'label_scales', InputSpec>;

/** Functions of such a step. `units` are unit vectors, `(sequences · labels, H)`; `slopes` their gradients. */
export interface CachedPass {
  embed: ProgramFunction<Seeded, { units: tf.Tensor }>;
  contrast: ProgramFunction<Contrasted, { loss: tf.Tensor; correct: tf.Tensor; slopes: tf.Tensor }>;
  /** Adds the gradients of a mini-batch to those of the step. */
  backward: ProgramFunction<Seeded & { slopes: InputSpec }, { done: tf.Tensor }>;
  /** Labels of the whole batch, and positions of a vector. */
  labels: number;
  width: number;
}

export const contrastInputs = (labels: number, sequences: number, width: number): Contrasted => ({
  units: { shape: [sequences * labels, width], dtype: 'float32' },
  texts: { shape: [sequences * labels], dtype: 'int32' },
  label_scales: { shape: [labels], dtype: 'float32' },
});

/** The loss of a whole batch, and its gradients with respect to the unit vectors. */
export function contrastOfUnits(inputs: Record<keyof Contrasted, tf.Tensor>) {
  const { units } = inputs;
  let correct: tf.Tensor | undefined;
  const total = () => {
    const loss = contrastiveLoss(units, inputs);
    correct = tf.keep(loss.correct);
    return loss.total;
  };
  const { value: loss, grads } = tf.engine().gradients(total, [units], undefined, true);
  return { loss, correct: correct!, slopes: grads[0]! };
}

/** A mini-batch, its seed, and its first pair's number in the whole batch. */
interface MiniBatch {
  filled: FilledBatch;
  seed: Int32Array;
  first: number;
}

/** One micro-batch, of whose loss the gradients are added up; losses are divided by `count`. */
export function runCached(
  program: Program,
  { embed, contrast, backward, labels, width }: CachedPass,
  grid: GridShape,
  minis: readonly MiniBatch[],
  {
    count,
    varies,
    noiseOf,
  }: {
    count: number;
    varies: boolean;
    /** Feeds of the noise on the embeddings of a mini-batch, whose list or grid has so many positions; empty for none. */
    noiseOf(filled: FilledBatch, length: number): NoiseOf<Float32Array> | Record<never, never>;
  },
): { loss: RunOutput; correct: RunOutput } {
  const { sequences } = grid;
  const units = new Float32Array(sequences * labels * width);
  const texts = new Int32Array(sequences * labels).fill(-1);
  const scales = new Float32Array(labels);
  /** Calls `copy` with where vectors of a mini-batch begin, in its own order and in the whole batch's, and how many they are. */
  const eachPart = (
    { filled, first }: MiniBatch,
    copy: (own: number, whole: number, length: number) => void,
  ) => {
    for (let part = 0; part < sequences; part++)
      copy(part * grid.labels, part * labels + first, filled.labelCount);
  };
  const feeds = minis.map(
    ({ filled, seed }): Record<string, TypedArray> & BatchOf<TypedArray> & { seed: Int32Array } => {
      const given = feedsOf('contrastive', filled, count, varies);
      return { ...given, ...noiseOf(filled, given.ids.length), seed };
    },
  );
  for (const [m, mini] of minis.entries()) {
    const own = program.run(embed, feeds[m]!).units.data as Float32Array;
    eachPart(mini, (from, to, length) => {
      units.set(own.subarray(from * width, (from + length) * width), to * width);
      texts.set(mini.filled.texts.subarray(from, from + length), to);
    });
    scales.fill(1 / count, mini.first, mini.first + mini.filled.labelCount);
  }
  const { loss, correct, slopes } = program.run(contrast, { units, texts, label_scales: scales });
  const whole = slopes.data as Float32Array;
  for (const [m, mini] of minis.entries()) {
    const own = new Float32Array(sequences * grid.labels * width);
    eachPart(mini, (to, from, length) =>
      own.set(whole.subarray(from * width, (from + length) * width), to * width),
    );
    scalarOf(program.run(backward, { ...feeds[m]!, slopes: own }).done);
  }
  return { loss, correct };
}
