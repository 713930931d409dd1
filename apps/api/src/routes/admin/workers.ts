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
      description: 'Newest first. One that is silent for an hour is forgotten.',
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
    operation('Take a worker out of service', ref(WorkerSchema), {
      description: 'It gets no other jobs, and finishes what it runs unless it is to `drain`.',
      params: WorkerParams,
      body: ref(QuarantineSchema),
    }),
    async ({ operator, params, body }) =>
      await change(params.worker_id, { quarantine: body.reason, drain: body.drain }, operator),
  );

  app.post(
    '/admin/workers/:worker_id/release',
    operation('Take a worker back into service', ref(WorkerSchema), {
      description: 'After it was repaired; resets its count of faults.',
      params: WorkerParams,
    }),
    async ({ operator, params }) => await change(params.worker_id, 'release', operator),
  );

  app.get(
    '/admin/keys',
    operation("List the operator's keys", listOf(OperatorKeySchema), {
      description: 'Newest first, without their secrets.',
      querystring: ListQuery,
    }),
    async ({ query }) => toWireList(await listOperatorKeys(services, query), toWireOperatorKey),
  );

  app.post(
    '/admin/keys',
    operation("Make an operator's key", ref(CreatedOperatorKeySchema), {
      description:
        'Of a person who is an operator, or of the service. The answer holds the key, the only time it is shown.',
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
    operation("Revoke an operator's key", ref(DeletedOperatorKeySchema), { params: ApiKeyParams }),
    async ({ operator, params: { key_id: id } }) => {
      found(await revokeOperatorKey(services, id, operator), 'operatorKey', id);
      return { id, object: 'operator_key' as const, deleted: true as const };
    },
  );
};
