import { Type } from 'typebox';
import { named, nullable, oneOf, Time } from './schema.ts';

const Answers = oneOf(['ok', 'missing'], {
  description: '`ok`, or `missing` if there was no response within two seconds.',
});

export const ServiceStateSchema = named('ServiceState', {
  object: Type.Literal('service'),
  version: Type.String({
    description: 'Graft version of the API process that responds, with its commit if known.',
  }),
  node: Type.String({ description: 'Version of Node.js.' }),
  started_at: Time,
  database: Type.Object({
    state: Answers,
    version: nullable(Type.String(), { description: 'Version of Postgres. Null if it does not respond.' }),
    migration: nullable(Type.String(), {
      description: 'Name of the latest applied migration. Null if Postgres does not respond.',
    }),
  }),
  queue: Type.Object({
    state: Answers,
    backend: oneOf(['redis', 'postgres']),
    waiting: nullable(
      Type.Integer({
        description:
          'Number of job notifications that no worker has received yet. Null if the queue does not respond.',
      }),
    ),
  }),
  workers: nullable(
    Type.Object({
      ready: Type.Integer({ description: 'Number of workers that accept jobs.' }),
      draining: Type.Integer({ description: 'Number of workers that are shutting down.' }),
      quarantined: Type.Integer({ description: 'Number of quarantined workers, which get no jobs.' }),
      silent: Type.Integer({ description: 'Number of workers without a heartbeat for a minute.' }),
      versions: Type.Array(nullable(Type.String()), {
        description:
          'Graft versions of the live workers. Null for a worker that does not report its version.',
      }),
      other_protocol: Type.Integer({
        description:
          'Number of live workers whose protocol differs from that of the API. They do not serve completions: upgrade the API or the workers.',
      }),
      unknown_protocol: Type.Integer({
        description:
          'Number of live workers of versions without a protocol number. They may refuse completions.',
      }),
    }),
    { description: 'Number of workers by state. Null if Postgres does not respond.' },
  ),
  storage: oneOf(['folder', 's3'], { description: 'Where files, adapters and checkpoints are stored.' }),
});

export const TeamInQueueSchema = named('TeamInQueue', {
  id: Type.String(),
  object: Type.Literal('queue.team'),
  name: Type.String(),
  weight: Type.Integer(),
  running_limit: Type.Integer(),
  validating: Type.Integer({ description: 'Number of jobs whose files are being validated.' }),
  queued: Type.Integer(),
  dispatched: Type.Integer({ description: 'Number of jobs sent to workers that do not occupy a slot yet.' }),
  running: Type.Integer(),
  paused: Type.Integer(),
  waiting_since: nullable(Time, {
    description:
      'Unix timestamp (in seconds) from which the job that has waited longest could have started. Null if no job waits.',
  }),
  ahead: Type.Number({
    description:
      'Slot minutes, divided by `weight`, that the team has used beyond the team whose turn is next. 0: the team’s turn is next.',
  }),
});

export const QueueSchema = named('Queue', {
  object: Type.Literal('queue'),
  slots: Type.Integer({ description: 'Number of slots of live workers that accept jobs.' }),
  teams: Type.Array(TeamInQueueSchema, {
    description: 'Teams with unfinished jobs, the team whose turn is next first; at most 1,000.',
  }),
});
