/** The losses of all objectives, and a program's inputs, feeds and totals by objective name. */
import { type InputSpec, type TypedArray, tf } from '@graft/tf-graph';
import type { FilledBatch, GridShape } from '../../examples/index.ts';
import type { ObjectiveName } from '../../objectives/objectives.ts';
import { contrastiveLoss } from './contrastive/loss.ts';
import { cosineLoss } from './cosine/loss.ts';
import { dpoLoss } from './dpo/loss.ts';
import { ktoLoss } from './kto/loss.ts';
import { labelSetLoss } from './label-sets/loss.ts';
import { labelLoss } from './labels/loss.ts';
import type { BatchOf, Loss, LossContext, LossOptions, ObjectiveLoss } from './objective-loss.ts';
import { orpoLoss } from './orpo/loss.ts';
import { forwardOf } from './passes.ts';
import { simpoLoss } from './simpo/loss.ts';

export const losses: Readonly<Record<ObjectiveName, ObjectiveLoss>> = {
  next_token: labelLoss,
  classification: labelLoss,
  label_sets: labelSetLoss,
  contrastive: contrastiveLoss,
  cosine: cosineLoss,
  dpo: dpoLoss,
  orpo: orpoLoss,
  simpo: simpoLoss,
  kto: ktoLoss,
};

/**
 * Inputs of a function that computes a loss on a grid; with `varies` on a list with as many positions as the batch has. `classes`: the
 * number of classes of texts that may have several. `activates`: the adapter is active only at some positions.
 */
export function batchInputs(
  objective: ObjectiveName,
  grid: GridShape,
  varies: boolean,
  { classes = 0, activates = false }: { classes?: number | undefined; activates?: boolean | undefined } = {},
): BatchOf<InputSpec> {
  const perToken: InputSpec = {
    shape: [grid.rows * grid.tokens],
    dtype: 'int32',
    ...(varies ? { varies } : {}),
  };
  const perInput = { shape: [grid.rows * grid.inputTokens], dtype: 'int32' } as const;
  const spans = { shape: [grid.spans, 4], dtype: 'int32' } as const;
  const own = losses[objective].inputs(grid, perToken, classes) as { label_scales: InputSpec };
  return {
    ids: perToken,
    positions: perToken,
    segments: perToken,
    parents: perToken,
    grandparents: perToken,
    spans,
    ...(activates ? { active: perToken } : {}),
    ...(grid.inputTokens > 0
      ? { input_ids: perInput, input_positions: perInput, input_segments: perInput, input_spans: spans }
      : {}),
    ...own,
  };
}

/** The length of a list is rounded up to a multiple of this: products of odd sizes are slower. */
const POSITION_MULTIPLE = 16;

/** Feeds of these inputs. The loss is the sum of the targets' losses, times their weights and those of their classes, divided by `weight`. */
export function feedsOf(
  objective: ObjectiveName,
  batch: FilledBatch,
  weight: number,
  varies: boolean,
  classWeights: readonly number[] | null = null,
): BatchOf<TypedArray> {
  const { spans, input } = batch;
  const length = varies ? Math.ceil(batch.length / POSITION_MULTIPLE) * POSITION_MULTIPLE : batch.ids.length;
  const used = (values: Int32Array) => values.subarray(0, length);
  return {
    ids: used(batch.ids),
    positions: used(batch.positions),
    segments: used(batch.segments),
    parents: used(batch.parents),
    grandparents: used(batch.grandparents),
    spans,
    ...(batch.active ? { active: used(batch.active) } : {}),
    ...(input.ids.length > 0
      ? {
          input_ids: input.ids,
          input_positions: input.positions,
          input_segments: input.segments,
          input_spans: batch.inputSpans,
        }
      : {}),
    label_scales: classWeights
      ? batch.labelWeights.map((own, k) => (own * classWeights[batch.labelIds[k]!]!) / weight)
      : batch.labelWeights.map((own) => own / weight),
    ...losses[objective].feeds(batch, length, weight),
  };
}

/** The objective's loss, and in training that of the experts' use, if the model has one. */
export function lossOf(objective: ObjectiveName, context: LossContext): Loss {
  const forward = forwardOf(context);
  const inputs = context.inputs as BatchOf<tf.Tensor> & Record<string, tf.Tensor>;
  const loss = losses[objective].loss(forward, inputs);
  const { balance } = forward;
  return balance ? { ...loss, total: tf.add(loss.total, balance.loss()) } : loss;
}

export const lossOptions = (objective: ObjectiveName, training: LossOptions): LossOptions =>
  Object.fromEntries((losses[objective].options ?? []).map((name) => [name, training[name]]));
