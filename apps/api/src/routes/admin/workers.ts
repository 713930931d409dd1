import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  createOperatorKey,
  listOperatorKeys,
  type Operator,
  type OperatorKeyRecord,
  revokeOperatorKey,
} from '@graft/service/keys';
import { listWorkers, setWorkerService, type WorkerRecord } from '@graft/service/workers';
import { ApiKeyParams } from '@graft/wire/api-key';
import { listOf } from '@graft/wire/list';
import { ref } from '@graft/wire/schema';
import { ListQuery } from '@graft/wire/team';
import {
  CreatedOperatorKeySchema,
  CreateOperatorKeySchema,
  DeletedOperatorKeySchema,
  OperatorKeySchema,
  QuarantineSchema,
  WorkerParams,
  WorkerSchema,
} from '@graft/wire/worker';
import type { Static } from 'typebox';
import { secondsOrNull, toWireList, unixSeconds } from '../../answers/list.ts';
import { found } from '../../not-found.ts';
import { operation } from './operation.ts';

/** /admin/workers and /admin/keys: the workers of the service, and the operator's keys. */
export const adminWorkerRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/admin/workers',
    operation('List workers', listOf(WorkerSchema), {
      description: 'Newest first. A worker without a heartbeat for an hour is removed.',
      querystring: ListQuery,
    }),
    async ({ query }) => toWireList(await listWorkers(services, query), toWireWorker),
  );

  async function change(
    id: string,
    service: { quarantine: string; drain?: boolean | undefined } | 'release',
    operator: Operator,
  ) {
    return toWireWorker(found(await setWorkerService(services, id, service, operator), 'worker', id));
  }

  app.post(
    '/admin/workers/:worker_id/quarantine',
    operation('Quarantine a worker', ref(WorkerSchema), {
      description:
        'The worker gets no further jobs. It finishes its running jobs, or with `drain` hands them to other workers.',
      params: WorkerParams,
      body: ref(QuarantineSchema),
    }),
    async ({ operator, params, body }) =>
      await change(params.worker_id, { quarantine: body.reason, drain: body.drain }, operator),
  );

  app.post(
    '/admin/workers/:worker_id/release',
    operation('End the quarantine of a worker', ref(WorkerSchema), {
      description: 'Use it after repairing the worker; also resets its count of faults.',
      params: WorkerParams,
    }),
    async ({ operator, params }) => await change(params.worker_id, 'release', operator),
  );

  app.get(
    '/admin/keys',
    operation('List operator keys', listOf(OperatorKeySchema), {
      description: 'Newest first, without their secrets.',
      querystring: ListQuery,
    }),
    async ({ query }) => toWireList(await listOperatorKeys(services, query), toWireOperatorKey),
  );

  app.post(
    '/admin/keys',
    operation('Create an operator key', ref(CreatedOperatorKeySchema), {
      description:
        'Creates a key for a person who is an operator, or for the service. The key is returned only once.',
      body: ref(CreateOperatorKeySchema),
    }),
    async ({ operator, body: { name, person_id, expires_in } }) => {
      const input = { name, personId: person_id ?? null, expiresIn: expires_in ?? null };
      const { record, key } = await createOperatorKey(services, input, operator);
      return { ...toWireOperatorKey(record), key };
    },
  );

  app.delete(
    '/admin/keys/:key_id',
    operation('Revoke an operator key', ref(DeletedOperatorKeySchema), { params: ApiKeyParams }),
    async ({ operator, params: { key_id: id } }) => {
      found(await revokeOperatorKey(services, id, operator), 'operatorKey', id);
      return { id, object: 'operator_key' as const, deleted: true as const };
    },
  );
};

function toWireWorker(worker: WorkerRecord): Static<typeof WorkerSchema> {
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

function toWireOperatorKey(record: OperatorKeyRecord): Static<typeof OperatorKeySchema> {
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
