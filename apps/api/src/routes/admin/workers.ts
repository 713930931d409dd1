import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import {
  createOperatorKey,
  listOperatorKeys,
  listWorkers,
  type Operator,
  revokeOperatorKey,
  setWorkerService,
} from '@graft/service';
import { found } from '../../not-found.ts';
import { ApiKeyParams } from '../../schemas/api-key.ts';
import { listOf, toWireList } from '../../schemas/list.ts';
import { ref } from '../../schemas/schema.ts';
import { ListQuery } from '../../schemas/team.ts';
import {
  CreatedOperatorKeySchema,
  CreateOperatorKeySchema,
  DeletedOperatorKeySchema,
  OperatorKeySchema,
  QuarantineSchema,
  toWireOperatorKey,
  toWireWorker,
  WorkerParams,
  WorkerSchema,
} from '../../schemas/worker.ts';
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
