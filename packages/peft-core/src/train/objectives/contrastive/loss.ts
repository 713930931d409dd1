import { type InputSpec, type ProgramFunction, scalarOf, tf } from '@graft/tf-graph';
import {
  type EmbeddingFields,
  embedBatch,
  embeddingFeeds,
  embeddingInputs,
  embeddings,
  lossEmbeddings,
} from '../embeddings/embeddings.ts';
import type { MiniBatch, MiniBatchDefinition, MiniBatchPass, ObjectiveLoss } from '../objective-loss.ts';
import { lossAndGradients } from '../passes.ts';
import { contrast } from './contrast.ts';
import { defineMeasure } from './retrieval.ts';

// A contrastive loss over a batch that is embedded in mini-batches, so that a step stores the activations of only one mini-batch at a
// time. Each mini-batch is embedded once without storing them; the loss gives the gradients of all embeddings; then each mini-batch is
// embedded again, with the same dropout, and the gradients flow back through it. Loss and gradients equal those of the whole batch.
// Source: Gao et al. 2021, arXiv:2101.06983 (GradCache); sentence-transformers, CachedMultipleNegativesRankingLoss.

type Contrasted<T> = Record<'units', T> & Pick<EmbeddingFields<T>, 'texts' | 'label_scales'>;

/** `units` are unit vectors, `(sequences · labels, H)`. */
export const contrastInputs = (labels: number, sequences: number, width: number): Contrasted<InputSpec> => ({
  units: { shape: [sequences * labels, width], dtype: 'float32' },
  texts: { shape: [sequences * labels], dtype: 'int32' },
  label_scales: { shape: [labels], dtype: 'float32' },
});

/** The loss of a whole batch, and its gradients with respect to the unit vectors. */
export function contrastOfUnits(inputs: Contrasted<tf.Tensor>) {
  const { units } = inputs;
  let correct: tf.Tensor | undefined;
  const total = () => {
    const loss = contrast(units, inputs);
    correct = tf.keep(loss.correct);
    return loss.total;
  };
  const { value: loss, grads } = tf.engine().gradients(total, [units], undefined, true);
  return { loss, correct: correct!, slopes: grads[0]! };
}

function defineMiniBatches(of: MiniBatchDefinition): MiniBatchPass {
  const { define, model, grid, inputs: passInputs, checkpointing, labels, add } = of;
  const { sequences } = grid;
  const width = model.architecture.hiddenSize;
  const slopes = { shape: [sequences * grid.labels, width], dtype: 'float32' } as const;
  const embed = define('embed', passInputs, (inputs) => ({
    units: embedBatch({ model, grid, inputs }, inputs),
  }));
  const compare = define('contrast', contrastInputs(labels, sequences, width), contrastOfUnits);
  const backward = define('backward', { ...passInputs, slopes }, (inputs) => {
    const { loss, gradients } = lossAndGradients(
      { model, grid, inputs, options: {} },
      inputs,
      { checkpointing },
      (context) => ({ total: tf.sum(tf.mul(lossEmbeddings(context), inputs.slopes)), correct: tf.scalar(0) }),
    );
    add(gradients);
    return { done: loss };
  });

  /** Calls `copy` for each run of a mini-batch's vectors: its start in the mini-batch, its start in the whole batch, and its length. */
  const eachPart = (
    { filled, first }: MiniBatch,
    copy: (own: number, whole: number, length: number) => void,
  ) => {
    for (let part = 0; part < sequences; part++)
      copy(part * grid.labels, part * labels + first, filled.labelCount);
  };
  const run: MiniBatchPass['run'] = (program, minis, feedsOf) => {
    const units = new Float32Array(sequences * labels * width);
    const texts = new Int32Array(sequences * labels).fill(-1);
    const scales = new Float32Array(labels);
    const feeds = minis.map(({ filled, seed }) => ({ ...feedsOf(filled), seed }));
    for (const [m, mini] of minis.entries()) {
      const own = program.run(embed, feeds[m]!).units.data as Float32Array;
      eachPart(mini, (from, to, length) => {
        units.set(own.subarray(from * width, (from + length) * width), to * width);
        texts.set(mini.filled.texts.subarray(from, from + length), to);
      });
      const { label_scales: given } = feeds[m]!;
      scales.set((given as Float32Array).subarray(0, mini.filled.labelCount), mini.first);
    }
    const { loss, correct, slopes } = program.run(compare, { units, texts, label_scales: scales });
    const whole = slopes.data as Float32Array;
    for (const [m, mini] of minis.entries()) {
      const own = new Float32Array(sequences * grid.labels * width);
      eachPart(mini, (to, from, length) =>
        own.set(whole.subarray(from * width, (from + length) * width), to * width),
      );
      scalarOf(program.run(backward, { ...feeds[m]!, slopes: own }).done);
    }
    return { loss, correct };
  };
  return { main: backward as ProgramFunction, run };
}

/** Cross entropy of an anchor's own positive among the texts of the batch; a large batch is embedded in mini-batches. */
export const contrastiveLoss: ObjectiveLoss<keyof EmbeddingFields<unknown>> = {
  inputs: embeddingInputs,
  feeds: embeddingFeeds,
  wanted: () => [],
  loss: (forward, inputs) => contrast(embeddings(forward, inputs), inputs),
  defineMiniBatches,
  defineMeasure,
};
