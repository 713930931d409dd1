import type { InputSpec, TypedArray, tf } from '@graft/tf-graph';
import type { FilledBatch, FormatName, GridShape } from '../../examples/index.ts';
import { packedForward } from '../../peft-model/packed-forward.ts';
import { contrastiveLoss, cosineLoss, embeddingInputs, embeddings } from './embedding-loss.ts';
import { labelInputs, labelLoss } from './label-loss.ts';
import { labelSetInputs, labelSetLoss } from './label-set-loss.ts';
import type { BatchOf, Forward, Loss, LossContext } from './loss.ts';

/**
 * What is learnt. `labels`: the next token, or the class of a token or of a whole sequence. `contrastive`: which of the batch's
 * texts belongs to an anchor. `cosine`: how alike two texts are.
 */
export type Objective = 'labels' | 'contrastive' | 'cosine' | LabelSets;
/** Which of so many classes a sequence has: none, one or several. */
export type LabelSets = { classes: number };

/** Classes of which a sequence may have several; 0: it has one, or there are none. */
export const classesOf = (objective: Objective): number =>
  typeof objective === 'object' ? objective.classes : 0;

export function objectiveOf(format: FormatName, classes: number): Objective {
  if (format === 'multi_label_classification') return { classes };
  if (format === 'pairs') return 'contrastive';
  return format === 'scored_pairs' ? 'cosine' : 'labels';
}

/** Inputs of a function that computes a loss on a grid; with `varies` on as many positions of a list as a batch has. */
export function batchInputs(objective: Objective, grid: GridShape, varies: boolean): BatchOf<InputSpec> {
  const perToken: InputSpec = {
    ...{ shape: [grid.rows * grid.tokens], dtype: 'int32' },
    ...(varies ? { varies } : {}),
  };
  const perInput = { shape: [grid.rows * grid.inputTokens], dtype: 'int32' } as const;
  const spans = { shape: [grid.spans, 4], dtype: 'int32' } as const;
  return {
    ...{ ids: perToken, positions: perToken, segments: perToken, parents: perToken, spans },
    ...(grid.inputTokens > 0
      ? { input_ids: perInput, input_positions: perInput, input_segments: perInput, input_spans: spans }
      : {}),
    ...ownInputs(objective, grid, perToken),
  };
}

function ownInputs(objective: Objective, grid: GridShape, perToken: InputSpec) {
  if (objective === 'labels') return labelInputs(grid);
  return typeof objective === 'object'
    ? labelSetInputs(grid, objective.classes)
    : embeddingInputs(grid, perToken);
}

/** A list is as long as a multiple of this: products of odd sizes are slower. */
const POSITION_MULTIPLE = 16;

/** Feeds of these inputs; losses are summed, each times its class's weight where there are any, and divided by `count`. */
export function feedsOf(
  objective: Objective,
  batch: FilledBatch,
  count: number,
  varies: boolean,
  classWeights: readonly number[] | null = null,
): BatchOf<TypedArray> {
  const { spans, input } = batch;
  const length = varies ? Math.ceil(batch.length / POSITION_MULTIPLE) * POSITION_MULTIPLE : batch.ids.length;
  const used = (values: Int32Array) => values.subarray(0, length);
  const [ids, positions, segments, parents] = [batch.ids, batch.positions, batch.segments, batch.parents].map(
    used,
  ) as [Int32Array, Int32Array, Int32Array, Int32Array];
  const common = {
    ...{ ids, positions, segments, parents, spans },
    ...(input.ids.length > 0
      ? {
          ...{ input_ids: input.ids, input_positions: input.positions, input_segments: input.segments },
          input_spans: batch.inputSpans,
        }
      : {}),
    label_scales: classWeights
      ? batch.labelWeights.map((weight, k) => (weight * classWeights[batch.labelIds[k]!]!) / count)
      : batch.labelWeights.map((weight) => weight / count),
  };
  if (objective === 'labels')
    return { ...common, label_positions: batch.labelPositions, label_ids: batch.labelIds };
  if (typeof objective === 'object')
    return { ...common, label_positions: batch.labelPositions, label_targets: batch.labelTargets };
  const { poolVectors, poolWeights, texts, scores } = batch;
  return {
    ...common,
    pool_vectors: used(poolVectors),
    pool_weights: poolWeights.subarray(0, length),
    ...{ texts, scores },
  };
}

export function lossOf(objective: Objective, context: LossContext): Loss {
  const { inputs } = context;
  const forward = forwardOf(context);
  if ('label_ids' in inputs) return labelLoss(forward, inputs);
  if ('label_targets' in inputs) return labelSetLoss(forward, inputs);
  if (objective === 'cosine') return cosineLoss(forward, inputs);
  return contrastiveLoss(embeddings(forward, inputs), inputs);
}

/** The unit vectors of a batch of texts, `(sequences · labels, H)`. */
export function embeddingsOf(context: LossContext): tf.Tensor {
  const { inputs } = context;
  if (!('texts' in inputs)) throw new Error('the batch has no texts to embed');
  return embeddings(forwardOf(context), inputs);
}

function forwardOf(context: LossContext): Forward {
  const { model, grid, inputs, parameters, training } = context;
  const { rows } = grid;
  const own = {
    ...{ rows, tokens: grid.tokens },
    ...{ ids: inputs.ids, positions: inputs.positions, segments: inputs.segments },
    // Only sequences of a list share beginnings.
    ...(rows === 1 ? { parents: inputs.parents } : {}),
    spans: inputs.spans,
    ...('label_positions' in inputs ? { read: inputs.label_positions } : {}),
  };
  const input =
    'input_ids' in inputs
      ? {
          ...{ rows, tokens: grid.inputTokens, spans: inputs.input_spans },
          ...{ ids: inputs.input_ids, positions: inputs.input_positions, segments: inputs.input_segments },
        }
      : null;
  return { ...context, ...packedForward(model, parameters, own, input, training) };
}
