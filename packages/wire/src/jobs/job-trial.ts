import { PeftConfigSchema, ResolvedTrainingSchema, TrainingOptionsSchema } from '@graft/peft-core/config';
import { Type } from 'typebox';
import { named, nullable, oneOf, ref } from '../schema.ts';

export const TrialSchema = named('FineTuningJobTrial', {
  object: Type.Literal('fine_tuning.job.trial'),
  trial: Type.Integer({ minimum: 1 }),
  status: oneOf(['waiting', 'running', 'stopped', 'diverged', 'won'], {
    description:
      '`waiting`: it may continue. `stopped`: other trials continued instead, which were better by metric_for_best_model or, see `tied_with`, equally good. `diverged`: its loss was not a number. `won`: its adapter is published.',
  }),
  tied_with: nullable(Type.Integer({ minimum: 1 }), {
    description:
      'For a stopped trial, the number of an earlier trial that had the same values at the end and won because it comes first; in sweeps of earlier versions, the same values at the comparison where this trial was stopped. Null if all trials that continued were better.',
  }),
  step: Type.Integer({ description: 'Number of optimizer steps that the trial has done.' }),
  rungs: Type.Array(
    Type.Object({
      step: Type.Integer(),
      valid_loss: nullable(Type.Number(), { description: 'Validation loss. Null if it was not a number.' }),
      value: Type.Optional(
        nullable(Type.Number(), {
          description:
            'Value of metric_for_best_model, which takes precedence over the loss. Absent if that metric is the loss.',
        }),
      ),
    }),
    {
      description: 'Comparisons with other trials. For the winner, the last one is the end of its training.',
    },
  ),
  peft: ref(PeftConfigSchema),
  training: Type.Union([ref(ResolvedTrainingSchema), ref(TrainingOptionsSchema)], {
    description: 'Training options, as in the job.',
  }),
});

/** All trials on one page. */
export const TrialListSchema = named('FineTuningJobTrialList', {
  object: Type.Literal('list'),
  data: Type.Array(ref(TrialSchema)),
  has_more: Type.Boolean({ description: 'Always false: a sweep has at most 32 trials.' }),
});
