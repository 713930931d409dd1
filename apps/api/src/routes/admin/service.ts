import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { readCodeVersion, versionText } from '@graft/service/code-version';
import { describeDatabase } from '@graft/service/database';
import { type Queue, readQueue } from '@graft/service/jobs';
import { countWorkers, type WorkerCounts } from '@graft/service/workers';
import { ref } from '@graft/wire/schema';
import { QueueSchema, ServiceStateSchema } from '@graft/wire/service-state';
import type { Static } from 'typebox';
import { unixSeconds } from '../../answers/list.ts';
import { inTime } from '../health.ts';
import { operation } from './operation.ts';

/** /admin/service and /admin/queue: the state of the service and of the queue. */
export const adminServiceRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;
  const version = versionText(await readCodeVersion());
  const startedAt = unixSeconds(new Date());

  app.get(
    '/admin/service',
    operation('Get the status of the service', ref(ServiceStateSchema), {
      description:
        'Returns versions, and whether database and queue respond. The list of workers has the version of each worker.',
    }),
    async () => {
      const [database, waiting, workers] = await Promise.all([
        inTime(describeDatabase(services)),
        inTime(services.queue.depth()),
        inTime(countWorkers(services)),
      ]);
      const versions = database.value ?? { version: null, migration: null };
      return {
        object: 'service' as const,
        version,
        node: process.version,
        started_at: startedAt,
        database: { state: database.state, ...versions },
        queue: { state: waiting.state, backend: services.queue.backend, waiting: waiting.value ?? null },
        workers: workers.value ? toWireWorkers(workers.value) : null,
        storage: services.env.artifactsUrl === undefined ? ('folder' as const) : ('s3' as const),
      };
    },
  );

  app.get(
    '/admin/queue',
    operation('Get the state of the queue', ref(QueueSchema), {
      description:
        'Returns how many jobs of each team wait and run, in the order of their turns. docs/fairness.md describes how turns are determined.',
    }),
    async () => toWireQueue(await readQueue(services)),
  );
};

const toWireWorkers = ({ otherProtocol, unknownProtocol, ...counts }: WorkerCounts) => ({
  ...counts,
  other_protocol: otherProtocol,
  unknown_protocol: unknownProtocol,
});

const toWireQueue = ({ slots, teams }: Queue): Static<typeof QueueSchema> => ({
  object: 'queue',
  slots,
  teams: teams.map(({ runningLimit, waitingSince, ...team }) => ({
    ...team,
    object: 'queue.team',
    running_limit: runningLimit,
    waiting_since: waitingSince && unixSeconds(waitingSince),
  })),
});
