import { Type } from 'typebox';
import { named, nullable, oneOf } from '../schema.ts';

export const OutlookSchema = named('FineTuningJobOutlook', {
  run_after: nullable(
    Type.Integer({
      description: 'Unix timestamp (in seconds) before which the job does not run. Null if it may run now.',
    }),
  ),
  avoids_worker: nullable(
    Type.String({
      description:
        'Id of a worker that gets the job only if no other worker can run it. Null if there is none.',
    }),
  ),
  quarantined_workers: Type.Array(Type.String(), {
    description: 'Ids of workers that have run the job and are quarantined now.',
  }),
  attempts_left: Type.Integer({
    description:
      'Number of attempts, including the current one, that may be lost before the next checkpoint.',
  }),
  requirements: nullable(
    Type.Object({
      precision: oneOf(['fp32', 'bf16']),
      threads: Type.Integer(),
      device: oneOf(['cpu', 'gpu']),
      kernels: Type.String({
        description: 'Kernels of Graft: an instruction set or "stock"; on a GPU "xla" or "stock".',
      }),
      gpu: nullable(
        Type.String({
          description:
            'GPU model, as named by nvidia-smi. Null on a CPU, and for a job that started with a version of Graft that accepted any GPU.',
        }),
      ),
      micro_batch: nullable(
        Type.Integer({
          description:
            'Maximum number of examples computed at a time, because more did not fit into memory. Null: the whole batch.',
        }),
      ),
    }),
    {
      description:
        'Properties of its first worker, which every other worker for it must have, too. Null until the job has run.',
    },
  ),
  has_worker: Type.Boolean({ description: 'Whether a worker that accepts jobs now can run the job.' }),
});
