import type { InputSpec, tf } from '@graft/tf-graph';
import type { ModelRuntime } from '../models/architecture.ts';
import type { RandomState } from '../nn/dropout.ts';
import { packedAttention } from '../packed-attention.ts';
import type { ParameterTensors, PeftModel } from '../peft-model.ts';
import type { DatasetFormat, FilledBatch, GridShape } from '../text/index.ts';
import { embeddingInputs, embeddingLoss } from './embedding-loss.ts';
import { labelInputs, labelLoss } from './label-loss.ts';

/**
 * What is learnt. `labels`: the next token, or the class of a token or of a whole sequence. `contrastive`: which of the batch's
 * texts belongs to an anchor. `cosine`: how alike two texts are.
 */
export type Objective = 'labels' | 'contrastive' | 'cosine';

export function objectiveOf(format: DatasetFormat): Objective {
  if (format === 'pairs') return 'contrastive';
  return format === 'scored_pairs' ? 'cosine' : 'labels';
}

/** What a forward pass for a loss is made from. */
export interface LossContext {
  model: PeftModel;
  grid: GridShape;
  inputs: Record<string, tf.Tensor>;
  parameters: ParameterTensors;
  training: { random: RandomState; constants: tf.Tensor[]; checkpointing: boolean } | null;
}

/** The hidden states `(N, H)` that a loss starts from, before the final norm, and the runtime for what follows. */
export interface Forward extends LossContext {
  runtime: ModelRuntime;
  hidden: tf.Tensor;
}

export interface Loss {
  /** Σ scale · loss of each target, or of each example to embed. */
  total: tf.Tensor;
  /** How many of them were right. */
  correct: tf.Tensor;
  /** What measures are taken of, in the order of labels: predicted classes, or cosines. */
  predictions?: tf.Tensor;
}

/** Inputs of a function that computes a loss on a grid. */
export function batchInputs(objective: Objective, grid: GridShape): Record<string, InputSpec> {
  const perToken = { shape: [grid.rows * grid.tokens], dtype: 'int32' } as const;
  const own = objective === 'labels' ? labelInputs(grid) : embeddingInputs(grid);
  return { ids: perToken, positions: perToken, segments: perToken, ...own };
}

/** Feeds of these inputs; losses are summed and divided by `count`. */
export function feedsOf(objective: Objective, batch: FilledBatch, count: number) {
  const scales = { label_scales: batch.labelWeights.map((weight) => weight / count) };
  const { ids, positions, segments } = batch;
  return objective === 'labels'
    ? {
        ...{ ids, positions, segments, ...scales },
        label_positions: batch.labelPositions,
        label_ids: batch.labelIds,
      }
    : {
        ...{ ids, positions, segments, ...scales },
        pool_vectors: batch.poolVectors,
        pool_weights: batch.poolWeights,
        scores: batch.scores,
      };
}

export function lossOf(objective: Objective, context: LossContext): Loss {
  const { model, grid, inputs, parameters, training } = context;
  const packed = {
    rows: grid.rows,
    tokens: grid.tokens,
    segments: inputs.segments!,
    positions: inputs.positions!,
  };
  const attend = packedAttention(model.architecture, packed, training ?? {});
  const runtime = model.runtime({ parameters, attend, ...(training ?? {}) });
  const hidden = model.architecture.body(runtime, inputs.ids!, packed);
  const forward = { ...context, runtime, hidden };
  return objective === 'labels' ? labelLoss(forward) : embeddingLoss(objective, forward);
}
