import { PeftConfigSchema, ResolvedTrainingSchema, TrainingOptionsSchema } from '@graft/peft-core/config';
import type { JobTrial } from '@graft/service';
import { type Static, Type } from 'typebox';
import { named, nullable, ref } from '../schema.ts';

const TrialSchema = named('FineTuningJobTrial', {
  object: Type.Literal('fine_tuning.job.trial'),
  trial: Type.Integer({ minimum: 1 }),
  status: Type.Enum(['waiting', 'running', 'stopped', 'diverged', 'won'], {
    type: 'string',
    description:
      'waiting: it may go on; stopped: others were better at a rung; diverged: its loss was not a number; won: it is the one that is published.',
  }),
  step: Type.Integer({ description: 'Its own optimizer steps done.' }),
  rungs: Type.Array(
    Type.Object({
      step: Type.Integer(),
      valid_loss: nullable(Type.Number(), { description: 'Null: it was not a number.' }),
    }),
    { description: 'Where it was compared with others. The last is the end of the winner.' },
  ),
  peft: ref(PeftConfigSchema),
  training: Type.Union([ref(ResolvedTrainingSchema), ref(TrainingOptionsSchema)], {
    description: 'As of the job.',
  }),
});

/** All of them: there are few. */
export const TrialListSchema = named('FineTuningJobTrialList', {
  object: Type.Literal('list'),
  data: Type.Array(ref(TrialSchema)),
  has_more: Type.Boolean({ description: 'Always false: a sweep has at most 32.' }),
});

export function toWireTrial(trial: JobTrial): Static<typeof TrialSchema> {
  return {
    object: 'fine_tuning.job.trial',
    trial: trial.trial,
    status: trial.status,
    step: trial.step,
    rungs: trial.rungs.map(({ step, loss }) => ({ step, valid_loss: loss })),
    peft: trial.peft,
    training: trial.resolvedTraining ?? trial.training,
  };
}
