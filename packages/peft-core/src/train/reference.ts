/**
 * The reference of preference training: log-probabilities of every completion under the model as it was before training, which do not
 * change. They are computed once, before the first step, with the weights that are trained on: those of the base with the adapter off, or
 * of the version that the job continues. Checkpoints have them, so that a resumed run reads the same bits.
 */
import type { InputSpecs, ProgramFunction, tf } from '@graft/tf-graph';
import {
  type BatchPlan,
  fillBatch,
  layoutOfBase,
  NO_TARGET,
  planMeasuring,
  type SequenceLayout,
  type TrainingExample,
} from '../examples/index.ts';
import { withComputation } from '../nn/computation.ts';
import type { Objective } from '../objectives/objective.ts';
import { objectives } from '../objectives/objectives.ts';
import { knowsAnswers } from '../objectives/preference/known-answers.ts';
import { adapterTensors, attachAdapter } from '../peft-model/peft-model.ts';
import { implementationHere } from './machine/implementation.ts';
import { laterFunction } from './machine/later-functions.ts';
import { batchInputs, feedsOf, losses, lossOptions } from './objectives/losses.ts';
import { forwardOf } from './objectives/passes.ts';
import type { TrainingRun } from './open-run.ts';
import type { RateDecision, TrainOptions } from './records.ts';
import type { TrainingSetup } from './setup.ts';

/** Progress of the pass, in examples. */
export interface ReferenceProgress {
  done: number;
  of: number;
}

export function needsReference({
  setup,
  options: { training },
}: {
  setup: Pick<TrainingSetup, 'objective'>;
  options: Pick<TrainOptions, 'training'>;
}): boolean {
  const { passes }: Objective = objectives[setup.objective];
  return passes.includes('reference') && training.preference?.reference_free !== true;
}

/** All examples of a run: those to train on, then those to validate with. */
export const referencedExamples = ({ data }: TrainingRun['setup']): TrainingExample[] => [
  ...data.training,
  ...data.validation,
];

/** Decides the learning rate of a run by its pairs' references; null if nothing is to be decided. The same references give the same rate. */
export function decideRate(
  { learning_rate_if_known: ifKnown }: TrainOptions['training'],
  examples: readonly TrainingExample[],
): RateDecision | null {
  if (ifKnown === undefined) return null;
  let [preferred, logp, tokens] = [0, 0, 0];
  for (const { sequences, reference } of examples) {
    const [chosen, rejected] = reference!;
    if (chosen > rejected) preferred++;
    logp += chosen;
    tokens += sequences[0]!.targets!.reduce((count, target) => count + (target === NO_TARGET ? 0 : 1), 0);
  }
  const figures = { preferred: preferred / examples.length, logp: logp / tokens };
  return { ...figures, isKnown: knowsAnswers(figures) };
}

/** Gives the examples their `reference`, from a checkpoint's `(2 · examples)` values. */
export function setReferences(examples: readonly TrainingExample[], values: Float32Array): void {
  for (const [i, example] of examples.entries()) example.reference = [values[2 * i]!, values[2 * i + 1]!];
}

type Measure = ProgramFunction<InputSpecs, { logps: tf.Tensor }>;

/** Computes the reference of all examples, batch by batch. Returns the values of `setReferences`. */
export function* computeReferences(
  run: Pick<TrainingRun, 'setup' | 'options' | 'built' | 'precision'>,
  examples: readonly TrainingExample[],
): Generator<ReferenceProgress, Float32Array> {
  const { setup, options, built, precision } = run;
  const { objective } = setup;
  const { program, varies } = built;
  const layout: SequenceLayout = options.initialAdapter ? setup.layout : { ...setup.layout, ...layoutOfBase };
  const plan: BatchPlan = planMeasuring([...examples], options.training, layout);
  const measure = laterFunction<Measure>(
    built,
    'reference',
    JSON.stringify([plan.shape, lossOptions(objective, options.training), Boolean(options.initialAdapter)]),
    (name) => {
      const builder = built.builder;
      const { model: policy } = built;
      const model = options.initialAdapter
        ? policy
        : {
            ...attachAdapter(builder, setup.architecture, policy.frozen, null, { form: 'folded', name: '' }),
            stacks: policy.stacks,
          };
      const { classes } = layout;
      const { activates } = model.attachment ?? {};
      const inputs = batchInputs(objective, plan.shape, varies, { classes, activates });
      return builder.function(name, inputs, (given) =>
        withComputation({ precision, implementation: implementationHere() }, () => {
          const context = {
            model,
            grid: plan.shape,
            inputs: given,
            parameters: adapterTensors(model),
            training: null,
            options: lossOptions(objective, options.training),
          };
          return { logps: losses[objective].logps!(forwardOf(context), given as never) };
        }),
      );
    },
  );
  const values = new Float32Array(2 * examples.length);
  const pairs = plan.shape.pairs!;
  let done = 0;
  for (let step = 0; step < plan.steps; step++) {
    const batch = fillBatch(plan, examples, step, 0, layout);
    const { logps } = program.run(measure, feedsOf(objective, batch, 1, varies) as never);
    const own = logps.data as Float32Array;
    for (let k = 0; k < batch.pairs!.count; k++) {
      const example = batch.pairs!.examples[k]!;
      values[2 * example] = own[k]!;
      values[2 * example + 1] = own[pairs + k]!;
    }
    done += batch.pairs!.count;
    yield { done, of: examples.length };
  }
  return values;
}
