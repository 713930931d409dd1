import type { OperatorKeyRecord, WorkerRecord } from '@graft/service';
import { type Static, Type } from 'typebox';
import { ExpiresIn, KeyName, secondsOrNull } from './api-key.ts';
import { deletedSchema, named, namedInput, nullable, Time, unixSeconds } from './schema.ts';

export const WorkerSchema = named('Worker', {
  id: Type.String(),
  object: Type.Literal('worker'),
  hostname: Type.String(),
  slots: Type.Integer({ description: 'Jobs it trains at once.' }),
  running: Type.Integer(),
  load: Type.Integer({ description: 'Completions being answered.' }),
  base_models: Type.Array(Type.String(), { description: 'Loaded for serving.' }),
  draining: Type.Boolean({ description: 'It accepts no new work.' }),
  device: nullable(Type.String()),
  gpus: nullable(Type.Array(Type.String()), {
    description:
      'Models of its GPUs, as nvidia-smi names them; null: it has none, or is of a version that does not say.',
  }),
  gpu_faults: Type.Array(Type.String(), {
    description:
      'Why some of its GPUs accept no jobs: one text per GPU with the error code and how to fix it.',
  }),
  threads: nullable(Type.Integer()),
  memory_bytes: nullable(Type.Integer(), {
    description: 'What one of its trainers may hold at most; null: not known.',
  }),
  flops: nullable(Type.Object({ fp32: Type.Optional(Type.Number()), bf16: Type.Optional(Type.Number()) }), {
    description:
      'Floating-point operations in a second of matrix products, by precision, as measured there; null: not yet.',
  }),
  confinement: nullable(Type.Array(Type.String()), {
    description:
      'What keeps its trainers from the rest of the machine, such as `user`, `files` and `system-calls`; null: not known.',
  }),
  started_at: Time,
  heartbeat_at: Time,
  consecutive_faults: Type.Integer({ description: 'Consecutive failures of the worker itself.' }),
  quarantined_at: nullable(Time, { description: 'Since then it gets no jobs.' }),
  quarantine_reason: nullable(Type.String()),
  version: nullable(Type.String(), { description: 'Of Graft, with its commit if that is known.' }),
  protocol: nullable(Type.Integer(), {
    description:
      'Of what API and workers say to each other for completions: another number than the API has means that it answers none. Null: of a version without that number.',
  }),
  leases: Type.Array(
    Type.Object({
      team_id: Type.String(),
      team_name: Type.String(),
      lease_epoch: Type.Integer({ description: 'Each attempt at a job has a greater one.' }),
      since: Time,
      until: Type.Integer({ description: 'Unix seconds: it is lost then, unless the worker renews it.' }),
      leaving: Type.Boolean({ description: 'It was asked to checkpoint and go elsewhere.' }),
    }),
    { description: 'Jobs that it holds, by whose they are.' },
  ),
});

export const QuarantineSchema = namedInput('QuarantineWorker', {
  reason: Type.String({ minLength: 1, maxLength: 500 }),
  drain: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        'What it runs goes elsewhere, from a checkpoint and at no attempt, instead of being finished.',
    }),
  ),
});
export const WorkerParams = Type.Object({ worker_id: Type.String() });

const operatorKey = {
  id: Type.String({ description: 'The middle part of `graft_<id>_<secret>`.' }),
  object: Type.Literal('operator_key'),
  created_at: Time,
  name: Type.String(),
  person_id: nullable(Type.String(), { description: "Null: the service's own." }),
  created_by: nullable(Type.String()),
  last_used_at: nullable(Time),
  expires_at: nullable(Time),
  revoked_at: nullable(Time),
};
export const OperatorKeySchema = named('OperatorKey', operatorKey);
export const CreatedOperatorKeySchema = named('CreatedOperatorKey', {
  ...operatorKey,
  key: Type.String({ description: 'The whole key. It is shown this once.' }),
});
export const CreateOperatorKeySchema = namedInput('CreateOperatorKey', {
  name: KeyName,
  person_id: Type.Optional(nullable(Type.String({ maxLength: 64 }))),
  expires_in: Type.Optional(nullable(ExpiresIn)),
});
export const DeletedOperatorKeySchema = deletedSchema('DeletedOperatorKey', 'operator_key');

export function toWireWorker(worker: WorkerRecord): Static<typeof WorkerSchema> {
  return {
    id: worker.id,
    object: 'worker',
    hostname: worker.hostname,
    slots: worker.slots,
    running: worker.running,
    load: worker.load,
    base_models: worker.bases,
    draining: worker.draining,
    device: worker.capabilities?.device ?? null,
    gpus: worker.capabilities?.gpus ?? null,
    gpu_faults: worker.capabilities?.gpuFaults ?? [],
    threads: worker.capabilities?.threads ?? null,
    memory_bytes: worker.capabilities?.memoryBytes ?? null,
    flops: worker.capabilities?.flops ?? null,
    confinement: worker.capabilities?.confinement ?? null,
    started_at: unixSeconds(worker.startedAt),
    heartbeat_at: unixSeconds(worker.heartbeatAt),
    consecutive_faults: worker.consecutiveFaults,
    quarantined_at: secondsOrNull(worker.quarantinedAt),
    quarantine_reason: worker.quarantineReason,
    version: worker.version,
    protocol: worker.protocol,
    leases: worker.leases.map((lease) => ({
      team_id: lease.teamId,
      team_name: lease.teamName,
      lease_epoch: lease.leaseEpoch,
      since: unixSeconds(lease.since),
      until: unixSeconds(lease.until),
      leaving: lease.isLeaving,
    })),
  };
}

export function toWireOperatorKey(record: OperatorKeyRecord): Static<typeof OperatorKeySchema> {
  return {
    id: record.id,
    object: 'operator_key',
    created_at: unixSeconds(record.createdAt),
    name: record.name,
    person_id: record.personId,
    created_by: record.createdBy,
    last_used_at: secondsOrNull(record.lastUsedAt),
    expires_at: secondsOrNull(record.expiresAt),
    revoked_at: secondsOrNull(record.revokedAt),
  };
}
