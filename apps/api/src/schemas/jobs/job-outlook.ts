import type { QueueForecast } from '@graft/service';
import { type Static, Type } from 'typebox';
import { named, nullable, unixSeconds } from '../schema.ts';

export const OutlookSchema = named('FineTuningJobOutlook', {
  run_after: nullable(
    Type.Integer({ description: 'Unix seconds: it waits until then. Null: it may run now.' }),
  ),
  avoids_worker: nullable(Type.String({ description: 'Any other worker that can run it comes first.' })),
  quarantined_workers: Type.Array(Type.String(), {
    description: 'Of those that had it: they take no jobs for now.',
  }),
  attempts_left: Type.Integer({
    description: 'Attempts that may be lost before a new checkpoint, the one under way included.',
  }),
  requirements: nullable(
    Type.Object({
      precision: Type.Enum(['fp32', 'bf16'], { type: 'string' }),
      threads: Type.Integer(),
      device: Type.Enum(['cpu', 'gpu'], { type: 'string' }),
      kernels: Type.String({
        description: 'An instruction set of Graft’s kernels, or "stock"; on a GPU "xla" or "stock".',
      }),
      gpu: nullable(
        Type.String({
          description:
            'The GPU model, as nvidia-smi names it. Null on a CPU, and for a job started by a version of Graft that accepted any.',
        }),
      ),
      micro_batch: nullable(
        Type.Integer({
          description: 'Maximum examples computed at a time, since more did not fit. Null: the whole batch.',
        }),
      ),
    }),
    { description: 'What its first worker had, and every other needs. Null before it was run.' },
  ),
  has_worker: Type.Boolean({ description: 'Whether a worker that takes jobs now can run it.' }),
});

export function toWireOutlook(outlook: QueueForecast): Static<typeof OutlookSchema> {
  return {
    run_after: outlook.runAfter && unixSeconds(outlook.runAfter),
    avoids_worker: outlook.avoidsWorker,
    quarantined_workers: outlook.quarantined,
    attempts_left: outlook.attemptsLeft,
    requirements: outlook.requirements && {
      precision: outlook.requirements.precision,
      threads: outlook.requirements.threads,
      device: outlook.requirements.device,
      kernels: outlook.requirements.kernels ?? 'stock',
      gpu: outlook.requirements.gpu ?? null,
      micro_batch: outlook.requirements.microBatch ?? null,
    },
    has_worker: outlook.hasWorker,
  };
}
