/**
 * The reference of preference training: log-probabilities of every completion under the model as it was before training, which do not
 * change. They are computed once, before the first step, with the weights that are trained on: those of the base with the adapter off, or
 * of the version that the job continues. Checkpoints have them, so that a resumed run reads the same bits.
 */
import type { InputSpecs, ProgramFunction, tf } from '@graft/tf-graph';
import {
  fillBatch,
  layoutOfBase,
  NO_TARGET,
  planMeasuring,
  type SequenceLayout,
  type TrainingExample,
} from '../examples/index.ts';
import { withComputation } from '../nn/computation.ts';
import { knowsAnswers } from '../objectives/preference/known-answers.ts';
import { adapterTensors, attachAdapter } from '../peft-model/peft-model.ts';
import { batchInputs, feedsOf, losses } from './objectives/losses.ts';
import { forwardOf } from './objectives/passes.ts';
import type { TrainingRun } from './open-run.ts';
import type { RecordOf, TrainOptions } from './records.ts';
import type { RateDecision } from './reports.ts';

/** Gives examples the reference that preference training compares them with, and decides the learning rate where that depends on it. */
export function* compareWithReference(run: TrainingRun): Generator<RecordOf<'reference'>> {
  const { setup, options } = run;
  if (!setup.needsReference) return;
  const examples = [...setup.data.training, ...setup.data.validation];
  const isResumed = run.references !== null;
  run.references ??= yield* computeReferences(run, examples);
  for (const [i, example] of examples.entries())
    example.reference = [run.references[2 * i]!, run.references[2 * i + 1]!];
  const { training } = options;
  const decided = decideRate(training, examples);
  if (decided?.isKnown)
    run.options = { ...options, training: { ...training, learning_rate: training.learning_rate_if_known! } };
  const { length } = examples;
  if (!isResumed) yield { type: 'reference', done: length, of: length, ...(decided && { decided }) };
}

/** Decides the learning rate of a run by its pairs' references; null if nothing is to be decided. The same references give the same rate. */
function decideRate(
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

type Measure = ProgramFunction<InputSpecs, { logps: tf.Tensor }>;

/** Computes the reference of all examples, batch by batch. Returns `(2 · examples)` values: those of an example are side by side. */
function* computeReferences(
  { setup, options, built }: TrainingRun,
  examples: TrainingExample[],
): Generator<RecordOf<'reference'>, Float32Array> {
  const { objective, computation } = setup;
  const { builder, program, model: policy, varies } = built;
  const continues = Boolean(options.initialAdapter);
  const layout: SequenceLayout = continues ? setup.layout : { ...setup.layout, ...layoutOfBase };
  const plan = planMeasuring(examples, options.training, layout);
  const key = JSON.stringify([plan.shape, computation.options, continues]);
  const measure = built.later<Measure>('reference', key, (name) => {
    const model = continues
      ? policy
      : {
          ...attachAdapter(builder, setup.architecture, policy.frozen, null, { form: 'folded', name: '' }),
          stacks: policy.stacks,
        };
    const { classes } = layout;
    const { activates } = model.attachment ?? {};
    const inputs = batchInputs(objective, plan.shape, varies, { classes, activates });
    return builder.function(name, inputs, (given) =>
      withComputation(computation, () => {
        const context = {
          model,
          grid: plan.shape,
          inputs: given,
          parameters: adapterTensors(model),
          training: null,
          options: computation.options,
        };
        return { logps: losses[objective].logps!(forwardOf(context), given as never) };
      }),
    );
  });
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
    if (done < examples.length) yield { type: 'reference', done, of: examples.length };
  }
  return values;
}
