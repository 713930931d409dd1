import type { JobProgress } from '@graft/service';
import { type Static, Type } from 'typebox';
import { named, nullable } from '../schema.ts';

export const ProgressSchema = named('FineTuningJobProgress', {
  step: Type.Integer({ description: 'Of a sweep: of all its trials, as `tokens`.' }),
  total_steps: Type.Integer(),
  epoch: Type.Number({ description: 'Training epochs done, a fraction included.' }),
  tokens: Type.Integer({ description: 'Tokens trained so far.' }),
  tokens_per_second: Type.Number(),
  seconds_remaining: nullable(Type.Number()),
  loss: nullable(Type.Number({ description: 'Of the last step.' })),
  gpu: nullable(
    Type.Object({
      model: Type.String({ description: 'As nvidia-smi names it.' }),
      memory_used_bytes: nullable(Type.Integer({ description: 'Of all processes on it.' })),
      memory_total_bytes: nullable(Type.Integer()),
      utilization: nullable(
        Type.Number({ description: 'Part of the time in which something was computed on it, 0 to 1.' }),
      ),
      temperature: nullable(Type.Number({ description: 'In degrees Celsius.' })),
    }),
    {
      description:
        'The GPU that it runs on, as measured a few seconds ago. Null on a CPU; values that the GPU does not report are null.',
    },
  ),
});

export function toWireProgress(progress: JobProgress | null): Static<typeof ProgressSchema> | null {
  return (
    progress && {
      step: progress.step,
      total_steps: progress.totalSteps,
      epoch: progress.epoch,
      tokens: progress.tokens,
      tokens_per_second: progress.tokensPerSecond,
      seconds_remaining: progress.secondsRemaining,
      loss: progress.loss ?? null,
      gpu: progress.gpu
        ? {
            model: progress.gpu.model,
            memory_used_bytes: progress.gpu.usedBytes,
            memory_total_bytes: progress.gpu.totalBytes,
            utilization: progress.gpu.utilization,
            temperature: progress.gpu.temperature,
          }
        : null,
    }
  );
}
