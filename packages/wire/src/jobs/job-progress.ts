import { Type } from 'typebox';
import { named, nullable } from '../schema.ts';

export const ProgressSchema = named('FineTuningJobProgress', {
  step: Type.Integer({
    description: 'Number of optimizer steps done. For a sweep, this and `tokens` include all trials.',
  }),
  total_steps: Type.Integer(),
  epoch: Type.Number({ description: 'Number of training epochs done, including a fraction.' }),
  tokens: Type.Integer({ description: 'Number of tokens trained so far.' }),
  tokens_per_second: Type.Number(),
  seconds_remaining: nullable(Type.Number()),
  loss: nullable(Type.Number({ description: 'Loss of the last step.' })),
  gpu: nullable(
    Type.Object({
      model: Type.String({ description: 'GPU model, as named by nvidia-smi.' }),
      memory_used_bytes: nullable(
        Type.Integer({ description: 'Memory used by all processes on the GPU, in bytes.' }),
      ),
      memory_total_bytes: nullable(Type.Integer()),
      utilization: nullable(
        Type.Number({ description: 'Share of the time in which the GPU computed, from 0 to 1.' }),
      ),
      temperature: nullable(Type.Number({ description: 'Temperature in degrees Celsius.' })),
    }),
    {
      description:
        'GPU that the job runs on, measured a few seconds ago. Null on a CPU; values that the GPU does not report are null.',
    },
  ),
});
