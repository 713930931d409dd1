import { Type } from 'typebox';
import { ExpiresIn, KeyName } from './api-key.ts';
import { deletedSchema, named, namedInput, nullable, Time } from './schema.ts';

export const WorkerSchema = named('Worker', {
  id: Type.String(),
  object: Type.Literal('worker'),
  hostname: Type.String(),
  slots: Type.Integer({ description: 'Number of jobs that the worker can train at the same time.' }),
  running: Type.Integer(),
  load: Type.Integer({ description: 'Number of completions being generated.' }),
  base_models: Type.Array(Type.String(), { description: 'Ids of the base models loaded for serving.' }),
  draining: Type.Boolean({ description: 'Whether the worker is shutting down and accepts no new work.' }),
  device: nullable(Type.String()),
  gpus: nullable(Type.Array(Type.String()), {
    description:
      'Models of its GPUs, as named by nvidia-smi. Null if it has none or its version does not report them.',
  }),
  gpu_faults: Type.Array(Type.String(), {
    description:
      'Why some of its GPUs accept no jobs: one text per GPU, with the error code and how to fix it.',
  }),
  threads: nullable(Type.Integer()),
  memory_bytes: nullable(Type.Integer(), {
    description: 'Maximum memory of one of its training processes, in bytes. Null if not known.',
  }),
  flops: nullable(Type.Object({ fp32: Type.Optional(Type.Number()), bf16: Type.Optional(Type.Number()) }), {
    description:
      'Measured floating-point operations per second in matrix products, by precision. Null if not measured yet.',
  }),
  confinement: nullable(Type.Array(Type.String()), {
    description:
      'Mechanisms that isolate its training processes from the machine, such as `user`, `files` and `system-calls`. Null if not known.',
  }),
  started_at: Time,
  heartbeat_at: Time,
  consecutive_faults: Type.Integer({
    description: 'Number of consecutive failures caused by the worker itself.',
  }),
  quarantined_at: nullable(Time, {
    description:
      'Unix timestamp (in seconds) since which the worker is quarantined and gets no jobs. Null if it is not quarantined.',
  }),
  quarantine_reason: nullable(Type.String()),
  version: nullable(Type.String(), {
    description: 'Graft version, with its commit if known. Null if the worker does not report it.',
  }),
  protocol: nullable(Type.Integer(), {
    description:
      'Version of the protocol between API and workers for completions. A worker whose version differs from the API’s does not serve completions. Null for a Graft version without this number.',
  }),
  leases: Type.Array(
    Type.Object({
      team_id: Type.String(),
      team_name: Type.String(),
      lease_epoch: Type.Integer({
        description: 'Number of the attempt: it increases with each attempt at the job.',
      }),
      since: Time,
      until: Type.Integer({
        description: 'Unix timestamp (in seconds) at which the lease expires unless the worker renews it.',
      }),
      leaving: Type.Boolean({
        description: 'Whether the worker was asked to checkpoint the job and release it to another worker.',
      }),
    }),
    { description: 'Leases of the jobs that the worker runs, with their teams.' },
  ),
});

export const QuarantineSchema = namedInput('QuarantineWorker', {
  reason: Type.String({ minLength: 1, maxLength: 500 }),
  drain: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        'Whether to move its running jobs to other workers: each resumes from a checkpoint and does not use up an attempt. If false, the worker finishes them.',
    }),
  ),
});
export const WorkerParams = Type.Object({ worker_id: Type.String() });

const operatorKey = {
  id: Type.String({ description: 'Key id: the middle part of `graft_<id>_<secret>`.' }),
  object: Type.Literal('operator_key'),
  created_at: Time,
  name: Type.String(),
  person_id: nullable(Type.String(), {
    description: 'Id of the person who owns the key. Null if it belongs to the service.',
  }),
  created_by: nullable(Type.String()),
  last_used_at: nullable(Time),
  expires_at: nullable(Time),
  revoked_at: nullable(Time),
};
export const OperatorKeySchema = named('OperatorKey', operatorKey);
export const CreatedOperatorKeySchema = named('CreatedOperatorKey', {
  ...operatorKey,
  key: Type.String({ description: 'The full key. It is returned only once.' }),
});
export const CreateOperatorKeySchema = namedInput('CreateOperatorKey', {
  name: KeyName,
  person_id: Type.Optional(nullable(Type.String({ maxLength: 64 }))),
  expires_in: Type.Optional(nullable(ExpiresIn)),
});
export const DeletedOperatorKeySchema = deletedSchema('DeletedOperatorKey', 'operator_key');
