/** Passes over a batch: forward to the hidden states that a loss reads, and backward to gradients. */
import { tf } from '@graft/tf-graph';
import type { RandomState } from '../../nn/dropout.ts';
import { packedForward, type TrainingPass } from '../../peft-model/packed-forward.ts';
import { adapterTensors, type ParameterTensors } from '../../peft-model/peft-model.ts';
import type { NoiseOf } from './embedding-noise.ts';
import type { Forward, Loss, LossContext } from './objective-loss.ts';

/** Random inputs of a training pass: the seed of its dropout and noise, and the noise scales. */
export type Draws = { seed: tf.Tensor } & (NoiseOf<tf.Tensor> | Record<never, never>);

export function trainingPass(
  draws: Draws,
  of: Pick<TrainingPass, 'constants' | 'checkpointing' | 'balanceShare'>,
): TrainingPass {
  const random: RandomState = { seed: draws.seed, stream: 0 };
  const input = 'input_noise_scales' in draws ? { input: draws.input_noise_scales } : {};
  const noise = 'noise_scales' in draws ? { noise: { own: draws.noise_scales, ...input } } : {};
  return { random, ...of, ...noise };
}

export function forwardOf(context: LossContext): Forward {
  const { model, grid, inputs, parameters, training } = context;
  const { rows } = grid;
  const own = {
    rows,
    tokens: grid.tokens,
    ids: inputs.ids,
    positions: inputs.positions,
    segments: inputs.segments,
    // Only sequences in a list share prefixes.
    ...(rows === 1 ? { parents: inputs.parents, grandparents: inputs.grandparents } : {}),
    spans: inputs.spans,
    ...('active' in inputs ? { active: inputs.active } : {}),
    ...('label_positions' in inputs ? { read: inputs.label_positions } : {}),
  };
  const input =
    'input_ids' in inputs
      ? {
          rows,
          tokens: grid.inputTokens,
          spans: inputs.input_spans,
          ids: inputs.input_ids,
          positions: inputs.input_positions,
          segments: inputs.input_segments,
        }
      : null;
  return { ...context, ...packedForward(model, parameters, own, input, training) };
}

/**
 * Loss of a micro-batch and its flat gradients: zero for parameters that the model does not read, such as those of an unused module
 * that target_modules matched. The fed scales determine how losses are averaged.
 */
export function lossAndGradients(
  batch: Pick<LossContext, 'model' | 'grid' | 'inputs' | 'smoothing' | 'options'>,
  draws: Draws,
  { checkpointing, balanceShare }: Pick<TrainingPass, 'checkpointing' | 'balanceShare'>,
  loss: (context: LossContext) => Loss,
) {
  const { model } = batch;
  let correct: tf.Tensor | undefined;
  let sums: Record<string, tf.Tensor> = {};
  const parameters = [...adapterTensors(model).values()];
  const names = model.layout.entries.map((e) => e.name);
  const constants: tf.Tensor[] = [];
  const forward = () => {
    const byName: ParameterTensors = new Map(names.map((name, i) => [name, parameters[i]!]));
    const training = trainingPass(draws, {
      constants,
      checkpointing,
      ...(balanceShare === undefined ? {} : { balanceShare }),
    });
    const result = loss({ ...batch, parameters: byName, training });
    correct = tf.keep(result.correct);
    sums = result.sums ?? {};
    for (const sum of Object.values(sums)) tf.keep(sum);
    return result.total;
  };
  const { value, grads } = tf.engine().gradients(forward, parameters, undefined, true);
  tf.dispose(constants);
  const all = parameters.map((parameter, i) => grads[i] ?? tf.zeros(parameter.shape));
  return { loss: value, correct: correct!, sums, gradients: model.layout.concat(all) };
}
