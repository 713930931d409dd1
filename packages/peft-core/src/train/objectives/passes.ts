/** What the functions of a program compute of a batch. */
import { tf } from '@graft/tf-graph';
import type { RandomState } from '../../nn/dropout.ts';
import { adapterTensors, type ParameterTensors } from '../../peft-model/peft-model.ts';
import type { NoiseOf } from './embedding-noise.ts';
import type { Loss, LossContext } from './loss.ts';
import { embeddingsOf, lossOf, type Objective } from './objective.ts';

type Batch = Pick<LossContext, 'model' | 'grid' | 'inputs' | 'smoothing'>;
/** What a pass of training draws from: the seed of its dropout and noise, and how far the noise goes. */
type Draws = { seed: tf.Tensor } & (NoiseOf<tf.Tensor> | Record<never, never>);

function noiseOf(draws: Draws) {
  const input = 'input_noise_scales' in draws ? { input: draws.input_noise_scales } : {};
  return 'noise_scales' in draws ? { noise: { own: draws.noise_scales, ...input } } : {};
}

/** Losses of a batch, without dropout. */
export function evaluated(objective: Objective, batch: Batch) {
  const parameters = adapterTensors(batch.model);
  const { total, correct, predictions } = lossOf(objective, { ...batch, parameters, training: null });
  return { loss: total, correct, predictions };
}

/** The unit vectors of a batch of texts; with draws as training has its dropout and noise. No activations are kept. */
export function embedded(batch: Batch, draws: Draws | null): tf.Tensor {
  const parameters = adapterTensors(batch.model);
  const constants: tf.Tensor[] = [];
  const training = draws && {
    random: { seed: draws.seed, stream: 0 },
    constants,
    checkpointing: false,
    ...noiseOf(draws),
  };
  const units = embeddingsOf({ ...batch, parameters, training });
  tf.dispose(constants);
  return units;
}

/**
 * Loss of a micro-batch and its flat gradients: zero for a parameter that the model does not read, as a module's may be that
 * target_modules found. The scales that are fed decide what is averaged.
 */
export function lossAndGradients(
  batch: Batch,
  draws: Draws,
  checkpointing: boolean,
  loss: (context: LossContext) => Loss,
) {
  const { model } = batch;
  let correct: tf.Tensor | undefined;
  const parameters = [...adapterTensors(model).values()];
  const names = model.layout.entries.map((e) => e.name);
  const random: RandomState = { seed: draws.seed, stream: 0 };
  const constants: tf.Tensor[] = [];
  const forward = () => {
    const byName: ParameterTensors = new Map(names.map((name, i) => [name, parameters[i]!]));
    const training = { random, constants, checkpointing, ...noiseOf(draws) };
    const result = loss({ ...batch, parameters: byName, training });
    correct = tf.keep(result.correct);
    return result.total;
  };
  const { value, grads } = tf.engine().gradients(forward, parameters, undefined, true);
  tf.dispose(constants);
  const all = parameters.map((parameter, i) => grads[i] ?? tf.zeros(parameter.shape));
  return { loss: value, correct: correct!, gradients: model.layout.concat(all) };
}
