import { type InputSpec, type InputTensors, tf, type Variable } from '@graft/tf-graph';
import type { ResolvedTraining } from '../../config/index.ts';
import type { AdapterLayout, LayoutEntry } from '../../peft-model/adapter-layout.ts';

/**
 * Scalars of step t, from 1, computed in double precision on the host: the learning rate, learning rate / (1 − β₁ᵗ) and √(1 − β₂ᵗ); and with
 * `ema_decay` the share of the average that stays.
 */
export type StepInputs = Record<'learning_rate' | 'step_size' | 'root_correction', InputSpec> &
  ({ average_keeps: InputSpec } | Record<never, never>);

/** Flat variables `(size)` that a step changes; `average`: null without `ema_decay`. */
export interface OptimizerState {
  parameters: Pick<Variable, 'read' | 'assign'>;
  expAvg: Variable;
  expAvgSq: Variable;
  average: Variable | null;
}

/** Clips the gradients, and updates the adapter, Adam's moments and the average. Returns the norm of the gradients before. */
export function applyGradients(
  state: OptimizerState,
  gradients: tf.Tensor,
  step: InputTensors<StepInputs>,
  training: OptimizerOptions,
  layout: AdapterLayout,
): tf.Tensor {
  const { clipped, norm } = clipGradients(gradients, training.max_grad_norm);
  // Otherwise values computed from these alone would stay in memory through the whole step.
  const late = { after: [gradients] };
  const before = {
    parameters: state.parameters.read(late),
    expAvg: state.expAvg.read(late),
    expAvgSq: state.expAvgSq.read(late),
  };
  const after = adamW(before, clipped, step, training, layout);
  state.parameters.assign(after.parameters);
  state.expAvg.assign(after.expAvg);
  state.expAvgSq.assign(after.expAvgSq);
  if (state.average && 'average_keeps' in step)
    state.average.assign(averaged(state.average.read(late), after.parameters, step.average_keeps));
  return norm;
}

type Moments = Record<'parameters' | 'expAvg' | 'expAvgSq', tf.Tensor>;

/** Scales flat gradients to a norm of at most `max`, as torch's clip_grad_norm_ does; 0 disables this. Returns the original norm. */
function clipGradients(gradients: tf.Tensor, max: number): { clipped: tf.Tensor; norm: tf.Tensor } {
  const norm = tf.sqrt(tf.sum(tf.square(gradients)));
  if (max === 0) return { clipped: gradients, norm };
  const factor = tf.minimum(tf.div(max, tf.add(norm, 1e-6)), 1);
  return { clipped: tf.mul(gradients, factor), norm };
}

/**
 * AdamW with decoupled weight decay over flat vectors `(size)`, in torch.optim.AdamW's order of operations.
 * Source: Loshchilov and Hutter 2019, arXiv:1711.05101.
 */
function adamW(
  state: Moments,
  gradients: tf.Tensor,
  step: InputTensors<StepInputs>,
  training: OptimizerOptions,
  layout: AdapterLayout,
): Moments {
  const { adam_beta1: beta1, adam_beta2: beta2, adam_epsilon: epsilon, weight_decay: decay } = training;
  const shares = rateShares(layout, training);
  const scaled = (rate: tf.Tensor) => (shares ? tf.mul(shares, rate) : rate);
  const decayed =
    decay === 0
      ? state.parameters
      : tf.sub(
          state.parameters,
          tf.mul(state.parameters, tf.mul(decayMask(layout, decay), scaled(step.learning_rate))),
        );
  const expAvg = tf.add(state.expAvg, tf.mul(tf.sub(gradients, state.expAvg), 1 - beta1));
  const expAvgSq = tf.add(tf.mul(state.expAvgSq, beta2), tf.mul(tf.square(gradients), 1 - beta2));
  const denominator = tf.add(tf.div(tf.sqrt(expAvgSq), step.root_correction), epsilon);
  return {
    parameters: tf.sub(decayed, tf.mul(tf.div(expAvg, denominator), scaled(step.step_size))),
    expAvg,
    expAvgSq,
  };
}

/**
 * Updates the average of flat vectors `(size)`; `keeps`, a scalar, is the decay. With 0 the result is `values`, bit for bit.
 * Source: torch, optim/swa_utils.py (AveragedModel, get_ema_multi_avg_fn).
 */
function averaged(average: tf.Tensor, values: tf.Tensor, keeps: tf.Tensor): tf.Tensor {
  return tf.sub(values, tf.mul(tf.sub(values, average), keeps));
}

type OptimizerOptions = Pick<
  ResolvedTraining,
  | ('adam_beta1' | 'adam_beta2' | 'adam_epsilon' | 'weight_decay')
  | ('max_grad_norm' | 'learning_rate' | 'loraplus_lr_ratio' | 'loraplus_lr_embedding')
>;

/** Weight decay of each value. As in transformers' Trainer, biases and norms (tensors with one axis) are not decayed. */
function decayMask(layout: AdapterLayout, decay: number): tf.Tensor {
  if (layout.entries.every((e) => e.decayed)) return tf.scalar(decay);
  return perEntry(layout, (e) => (e.decayed ? decay : 0));
}

/**
 * Factor of the run's learning rate for each value, `(size)`; null if all use the rate itself.
 * Source: Hayou et al. 2024, arXiv:2402.12354; peft, optimizers/loraplus.py (create_loraplus_optimizer).
 */
function rateShares(
  layout: AdapterLayout,
  { learning_rate: peak, loraplus_lr_ratio: ratio, loraplus_lr_embedding: embedding }: OptimizerOptions,
): tf.Tensor | null {
  if (ratio === undefined) return null;
  const shares = { first: 1, second: ratio, embedding: embedding! / peak };
  return perEntry(layout, ({ rate }) => shares[rate]);
}

function perEntry(layout: AdapterLayout, value: (entry: LayoutEntry) => number): tf.Tensor {
  return tf.concat(
    layout.entries.map((e) => tf.fill([e.length], value(e))),
    0,
  );
}
