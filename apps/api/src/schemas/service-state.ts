import type { Queue, WorkerCounts } from '@graft/service';
import { type Static, Type } from 'typebox';
import { named, nullable, Time, unixSeconds } from './schema.ts';

const Answers = Type.Enum(['ok', 'missing'], {
  type: 'string',
  description: '`missing`: no answer within two seconds.',
});

export const ServiceStateSchema = named('ServiceState', {
  object: Type.Literal('service'),
  version: Type.String({ description: 'Of the API process that answers, with its commit if that is known.' }),
  node: Type.String({ description: 'Its Node.js.' }),
  started_at: Time,
  database: Type.Object({
    state: Answers,
    version: nullable(Type.String(), { description: 'Of Postgres.' }),
    migration: nullable(Type.String(), { description: 'The last one: how far the schema is.' }),
  }),
  queue: Type.Object({
    state: Answers,
    backend: Type.Enum(['redis', 'postgres'], { type: 'string' }),
    waiting: nullable(Type.Integer({ description: 'Rings that no worker has answered yet.' })),
  }),
  workers: nullable(
    Type.Object({
      ready: Type.Integer({ description: 'They take jobs.' }),
      draining: Type.Integer({ description: 'They stop.' }),
      quarantined: Type.Integer({ description: 'They get no jobs.' }),
      silent: Type.Integer({ description: 'No sign of life for a minute.' }),
      versions: Type.Array(nullable(Type.String()), {
        description: 'Of those that live. Null: of one that does not say.',
      }),
      other_protocol: Type.Integer({
        description:
          'They speak another protocol than the API and answer no completions: one of the two must be upgraded.',
      }),
      unknown_protocol: Type.Integer({
        description: 'They are of a version whose protocol has no number, and may refuse completions.',
      }),
    }),
    { description: 'Null: not known, since Postgres does not answer.' },
  ),
  storage: Type.Enum(['folder', 's3'], {
    type: 'string',
    description: 'Where files, adapters and checkpoints are.',
  }),
});

export const toWireWorkers = ({ otherProtocol, unknownProtocol, ...counts }: WorkerCounts) => ({
  ...counts,
  other_protocol: otherProtocol,
  unknown_protocol: unknownProtocol,
});

const TeamInQueueSchema = named('TeamInQueue', {
  id: Type.String(),
  object: Type.Literal('queue.team'),
  name: Type.String(),
  weight: Type.Integer(),
  running_limit: Type.Integer(),
  validating: Type.Integer({ description: 'Jobs whose files are read.' }),
  queued: Type.Integer(),
  dispatched: Type.Integer({ description: 'Sent to workers, and in no slot yet.' }),
  running: Type.Integer(),
  paused: Type.Integer(),
  waiting_since: nullable(Time, {
    description: 'When the job that waits longest could have started. Null: none waits.',
  }),
  ahead: Type.Number({
    description:
      'Minutes of a slot, divided by the weight, that the team has had beyond those whose turn is next; 0: its own is.',
  }),
});

export const QueueSchema = named('Queue', {
  object: Type.Literal('queue'),
  slots: Type.Integer({ description: 'Of workers that live and take jobs.' }),
  teams: Type.Array(TeamInQueueSchema, {
    description: 'With jobs that are not over, the one whose turn is next first; at most 1,000.',
  }),
});

export const toWireQueue = ({ slots, teams }: Queue): Static<typeof QueueSchema> => ({
  object: 'queue',
  slots,
  teams: teams.map(({ runningLimit, waitingSince, ...team }) => ({
    ...team,
    object: 'queue.team',
    running_limit: runningLimit,
    waiting_since: waitingSince && unixSeconds(waitingSince),
  })),
});
