import { PeftConfigSchema, type PeftWarning, ResolvedTrainingSchema } from '@graft/peft-core/config';
import type { JobEstimate } from '@graft/service';
import { type Static, Type } from 'typebox';
import { named, nullable, ref } from '../schema.ts';

const count = (description: string) => Type.Integer({ minimum: 0, description });

const ChangesSchema = named(
  'FineTuningChanges',
  {
    batch_size: Type.Optional(Type.Integer()),
    mini_batch_size: Type.Optional(nullable(Type.Integer())),
    gradient_accumulation_steps: Type.Optional(Type.Integer()),
    gradient_checkpointing: Type.Optional(Type.Boolean()),
    base_dtype: Type.Optional(Type.String()),
    max_seq_length: Type.Optional(Type.Integer({ description: 'Longer examples must be cut first.' })),
  },
  { description: 'Options for `training`.' },
);

export const EstimateSchema = named('FineTuningEstimate', {
  object: Type.Literal('fine_tuning.estimate'),
  trainable_parameters: count('Of the adapter.'),
  total_parameters: count('The base model’s and these.'),
  peak_memory_bytes: count(
    'The most that the process which trains will hold at once; with the device gpu: of its card.',
  ),
  tokens: count('Of all epochs.'),
  steps: count('Optimizer steps.'),
  seconds: nullable(Type.Number({ minimum: 0 }), {
    description:
      'From its start to the files of the adapter; null where the speed of the worker is not known.',
  }),
  fits: nullable(Type.Boolean(), {
    description: 'Whether a live worker has the memory; null if one does not report its memory.',
  }),
  changes: Type.Array(
    Type.Object({
      training: ref(ChangesSchema),
      peak_memory_bytes: count('With these options.'),
    }),
    { description: 'Any of these would make it fit. Empty when it does, or when nothing helps.' },
  ),
  workers: count('Live workers that could take the job.'),
  memory_bytes: nullable(Type.Integer(), {
    description: 'Maximum memory for a job on one of them; null: none reports it.',
  }),
  device: Type.Enum(['cpu', 'gpu'], { type: 'string', description: 'What the numbers are for.' }),
  precision: Type.Enum(['fp32', 'bf16'], { type: 'string', description: 'The same, of matrix products.' }),
  warnings: Type.Optional(
    Type.Array(Type.Object({ param: Type.String(), message: Type.String() }), {
      description:
        'Options of `peft` that are left out and whose defaults in HF PEFT learn less, with what would be better. Of a job that exists its events have them.',
    }),
  ),
});

/** The estimate of a job that does not exist, with all resolved options. */
export const JobPlanSchema = named('FineTuningPlan', {
  ...EstimateSchema.properties,
  peft: ref(PeftConfigSchema, {
    description: 'Every option with its value. Of a sweep: of its first trial.',
  }),
  training: ref(ResolvedTrainingSchema, { description: 'The same.' }),
  training_reasons: Type.Unsafe<Record<string, string>>({
    type: 'object',
    additionalProperties: { type: 'string' },
    description:
      'Why the options of `training` that are left to Graft have their values, and what of `peft` has a default that costs much, by option.',
  }),
  trials: Type.Integer({ minimum: 1, description: 'Configurations that are trained.' }),
});

/** The errors of a requested job, as a successful response. */
export const JobCheckSchema = named('FineTuningCheck', {
  object: Type.Literal('fine_tuning.check'),
  faults: Type.Array(
    Type.Object({
      code: Type.String({ description: 'As the error would have it.' }),
      message: Type.String(),
      param: nullable(Type.String(), { description: 'The field at fault.' }),
    }),
    { description: 'Why such a job would be refused; empty: it would be accepted.' },
  ),
  plan: nullable(ref(JobPlanSchema), { description: 'Its estimate; null if it is refused.' }),
});

/** `warnings`: only for a job that does not exist yet. */
export function toWireEstimate(
  estimate: JobEstimate,
  warnings?: readonly PeftWarning[],
): Static<typeof EstimateSchema> {
  return {
    object: 'fine_tuning.estimate',
    trainable_parameters: estimate.trainableParameters,
    total_parameters: estimate.totalParameters,
    peak_memory_bytes: estimate.peakMemoryBytes,
    tokens: estimate.tokens,
    steps: estimate.steps,
    seconds: estimate.seconds,
    fits: estimate.fits,
    changes: estimate.changes.map(({ training, peakMemoryBytes }) => ({
      training,
      peak_memory_bytes: peakMemoryBytes,
    })),
    workers: estimate.workers,
    memory_bytes: estimate.memoryBytes,
    device: estimate.machine.device,
    precision: estimate.machine.precision,
    ...(warnings && { warnings: [...warnings] }),
  };
}
