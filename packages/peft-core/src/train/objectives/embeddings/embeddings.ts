/** Inputs and vectors shared by the objectives that embed texts. */
import { type InputSpec, type TypedArray, tf } from '@graft/tf-graph';
import type { FilledBatch, GridShape } from '../../../examples/index.ts';
import { pool, unitRows } from '../../../nn/pooling.ts';
import { adapterTensors } from '../../../peft-model/peft-model.ts';
import type { BatchOf, Forward, LossContext } from '../objective-loss.ts';
import { type Draws, forwardOf, trainingPass } from '../passes.ts';

/** `label_scales`: weight of each example's loss in the total; `texts`: the number of each vector's text, −1 for none. */
export type EmbeddingFields<T> = Record<
  'pool_vectors' | 'pool_weights' | 'label_scales' | 'texts' | 'scores',
  T
>;

/** `perToken`: spec of an input with one value per position, `(N)`. */
export function embeddingInputs(
  { labels, sequences }: GridShape,
  perToken: InputSpec,
): EmbeddingFields<InputSpec> {
  const perExample = { shape: [labels], dtype: 'float32' } as const;
  return {
    pool_vectors: perToken,
    pool_weights: { ...perToken, dtype: 'float32' },
    label_scales: perExample,
    texts: { shape: [sequences * labels], dtype: 'int32' },
    scores: perExample,
  };
}

export const embeddingFeeds = (
  { poolVectors, poolWeights, texts, scores }: FilledBatch,
  length: number,
): Omit<EmbeddingFields<TypedArray>, 'label_scales'> => ({
  pool_vectors: poolVectors.subarray(0, length),
  pool_weights: poolWeights.subarray(0, length),
  texts,
  scores,
});

/** Pools a forward pass to unit vectors, `(sequences · labels, H)`: anchors, then positives, then negatives. */
export function embeddings({ model, grid, runtime, hidden }: Forward, inputs: EmbeddingFields<tf.Tensor>) {
  const normed = model.architecture.finalNorm(runtime, hidden);
  const count = grid.sequences * grid.labels;
  return unitRows(pool(normed, inputs.pool_vectors, inputs.pool_weights, count));
}

/** Runs the model in a loss and returns its unit vectors, as `embeddings` does. */
export const lossEmbeddings = (context: LossContext): tf.Tensor =>
  embeddings(forwardOf(context), context.inputs as BatchOf<tf.Tensor> & EmbeddingFields<tf.Tensor>);

/** Runs the model outside a loss, without keeping activations. With `draws`, dropout and noise are those of training. */
export function embedBatch(
  batch: Pick<LossContext, 'model' | 'grid' | 'inputs'>,
  draws: Draws | null,
): tf.Tensor {
  const parameters = adapterTensors(batch.model);
  const constants: tf.Tensor[] = [];
  const units = lossEmbeddings({
    ...batch,
    options: {},
    parameters,
    training: draws && trainingPass(draws, { constants, checkpointing: false }),
  });
  tf.dispose(constants);
  return units;
}
