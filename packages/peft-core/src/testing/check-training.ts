import { isDeepStrictEqual } from 'node:util';
import { scalarOf } from '@graft/tf-graph';
import { fillBatch, planTraining, targetsOf } from '../examples/index.ts';
import { Random } from '../random.ts';
import { feedsOf } from '../train/objectives/losses.ts';
import type { TrainOptions } from '../train/records.ts';
import { optimizerScalars } from '../train/run-step.ts';
import { setUpTraining } from '../train/setup.ts';
import { startValues } from '../train/start-values.ts';
import { buildTrainProgram, type TrainProgram } from '../train/train-program.ts';
import { loadWeights } from '../weights/load-weights.ts';
import { weightGroups } from '../weights/stored-weights.ts';

/** Distances of the evaluation points along a direction of length 1. */
const STEPS = [0.02, 0.005];
const ATTEMPTS = 16;

export interface TrainingCheck {
  /** Largest error of a directional derivative against finite differences, relative to the largest derivative. */
  gradientError: number;
  /** Base weights and constants of the adapter that a training step changed. */
  moved: string[];
  /** Names of trained parameters that a training step did not change, neither from their values nor from the opposite ones. */
  still: string[];
}

/**
 * Compares the gradients of a whole training step, in float32 and without dropout, with finite differences of its loss: along a
 * random direction in all parameters, and in each of up to `samples` parameters alone. Then runs a real step and checks which values
 * changed.
 */
export async function checkTraining(
  options: Pick<
    TrainOptions,
    'base' | 'peft' | 'training' | 'method' | 'trainingFile' | 'data' | 'initialAdapter' | 'initialParameters'
  >,
  samples = 6,
): Promise<TrainingCheck> {
  const { base, peft } = options;
  const training = { ...options.training, gradient_accumulation_steps: 1, max_grad_norm: 0, weight_decay: 0 };
  const { architecture, data, objective, layout, computation } = await setUpTraining(options);
  const plan = planTraining(data.training, training, layout);
  const form = options.initialAdapter ? 'folded' : 'trained';
  const built = buildTrainProgram({
    architecture,
    objective,
    peft,
    form,
    training,
    ...computation,
    // The losses of batches are compared; a pool of candidates would be measured as one.
    retrieves: false,
    storage: 'float32',
    precision: 'fp32',
    grid: plan.shape,
    evaluationGrid: plan.shape,
  });
  const { program, model, update } = built;
  const by = built.evaluate?.();
  if (!by || !('measure' in by) || !('step' in update)) throw new Error('the program lacks a function');
  try {
    await loadWeights(program, base, architecture, 'float32', { stacks: model.stacks });
    const start = await startValues(model, base, { ...options, seed: training.seed });
    const zeros = new Float32Array(start.length);
    const batch = fillBatch(plan, data.training, 0, 0, layout);
    const feeds = feedsOf(objective, batch, targetsOf(batch).weight, built.varies);
    const lossAt = async (values: Float32Array) => {
      await program.write([['adapter', values]]);
      return scalarOf(program.run(by.measure, feeds).loss);
    };
    const step = async (rate: number, from = start) => {
      await program.write([
        ['adapter', from],
        ['exp_avg', zeros],
        ['exp_avg_sq', zeros],
      ]);
      const seed = Int32Array.of(training.seed, 0);
      program.run(update.step, { ...feeds, ...optimizerScalars(training, rate, 1), seed });
    };

    await step(0);
    // After one step from zero the first moment is (1 − β₁) · gradient.
    const moment = program.read(['exp_avg']).get('exp_avg') as Float32Array;
    const gradient = Float64Array.from(moment, (m) => m / (1 - training.adam_beta1));
    // The rounding error of the slope over the smallest step, from the float32 error of the loss.
    const rounding = (20 * 2 ** -23 * Math.abs(await lossAt(start))) / Math.min(...STEPS);
    const errors: number[] = [];
    let largest = 1e-2;
    const random = new Random(7, 'test');
    for (const part of parts(built, samples)) {
      let least = { error: Number.POSITIVE_INFINITY, slope: 0 };
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const direction = directionIn(part, start.length, random);
        const along = direction.reduce((sum, d, i) => sum + d * gradient[i]!, 0);
        const at = (t: number) => lossAt(start.map((x, i) => x + t * direction[i]!));
        const slopes: number[] = [];
        const agrees = () => least.error < 0.005 * Math.abs(along);
        for (const h of STEPS) {
          const slope =
            (8 * ((await at(h)) - (await at(-h))) - ((await at(2 * h)) - (await at(-2 * h)))) / (12 * h);
          slopes.push(slope);
          const error = Math.abs(slope - along);
          if (error < least.error) least = { error, slope };
          if (agrees()) break;
        }
        if (agrees()) break;
        // Slopes that differ cross a kink of a ReLU, and small ones are lost in rounding: neither can be compared, so try another
        // direction.
        const [wide, narrow] = slopes as [number, number];
        if (Math.abs(wide - narrow) < 0.01 * Math.abs(wide) && Math.abs(wide) > rounding) break;
      }
      largest = Math.max(largest, Math.abs(least.slope));
      errors.push(least.error);
    }

    const frozen = weightGroups(architecture, 'float32', false, model.stacks).map(({ name }) => name);
    const before = program.read(frozen);
    const unchangedFrom = async (from: Float32Array, some: readonly Entry[]) => {
      await step(training.learning_rate, from);
      const adapter = program.read(['adapter']).get('adapter') as Float32Array;
      return some.filter(({ offset, length }) =>
        adapter.subarray(offset, offset + length).every((x, i) => x === from[offset + i]),
      );
    };
    const { entries } = model.layout;
    const still = await unchangedFrom(start, entries);
    const after = program.read(frozen);
    // A ReLU whose inputs are all negative gives the parameters around it no gradient; with the opposite values it does.
    const trained = still.filter(({ constant }) => !constant);
    const opposite = start.slice();
    for (const { offset, length } of trained)
      for (let i = offset; i < offset + length; i++) opposite[i] = -start[i]!;
    const stillBothWays = trained.length === 0 ? [] : await unchangedFrom(opposite, trained);
    return {
      gradientError: Math.max(...errors) / largest,
      moved: [
        ...frozen.filter((name) => !isDeepStrictEqual(before.get(name), after.get(name))),
        ...namesOf(entries.filter((entry) => entry.constant && !still.includes(entry))),
      ],
      still: namesOf(stillBothWays),
    };
  } finally {
    program.close();
  }
}

type Entry = TrainProgram['model']['layout']['entries'][number];

const namesOf = (entries: { name: string }[]): string[] => entries.map(({ name }) => name);

interface Part {
  offset: number;
  length: number;
}

/** All trained parameters together, then a sample of single ones, spread evenly. */
function parts({ model }: TrainProgram, samples: number): Part[][] {
  const entries = model.layout.entries.filter(({ constant }) => !constant);
  const stride = Math.max(1, Math.floor(entries.length / samples));
  const some = entries.filter((_, i) => i % stride === 0).slice(0, samples);
  return [entries, ...some.map((entry) => [entry])];
}

/** A random unit vector of `size` that is zero outside these parts. */
function directionIn(parts: Part[], size: number, random: Random): Float64Array {
  const direction = new Float64Array(size);
  for (const { offset, length } of parts)
    for (let i = 0; i < length; i++) direction[offset + i] = random.normal();
  const norm = Math.hypot(...direction);
  return direction.map((x) => x / norm);
}
