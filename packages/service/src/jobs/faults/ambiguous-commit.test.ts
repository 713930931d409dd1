/** Breaks the connection at the COMMIT of each transition: it happens once or not at all, and its caller learns which. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connectDatabase, type Database } from '../../database/database.ts';
import { isDatabaseUnavailable } from '../../database/database-unavailable.ts';
import type { Services } from '../../services.ts';
import { type CommitProxy, openCommitProxy } from '../../testing/commit-proxy.ts';
import {
  createTestJob,
  createTestTeam,
  newTestJob,
  systemFault,
  type TestTeam,
  testAdapter,
  userFault,
} from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { type Job, type JobState, type Lease, leaseOf } from '../job.ts';
import { recordCheckpoint } from '../leases/record-checkpoint.ts';
import { getJob } from '../records/read-jobs.ts';
import { claimJob } from '../transitions/claim-job.ts';
import { createJob } from '../transitions/create-job.ts';
import { sweepExpiredLeases } from '../transitions/expiry/sweep-expired-leases.ts';
import { failJob } from '../transitions/fail-job.ts';
import { publishAdapterVersion } from '../transitions/publish-adapter-version.ts';
import { returnJob } from '../transitions/return-job.ts';
import { cancelRunningJob, pauseRunningJob, releaseJob } from '../transitions/stop-running-job.ts';
import { cancelJob, pauseJob, resumeJob } from '../transitions/user-requests.ts';
import { claimValidation, finishValidation, releaseValidation } from '../transitions/validate-job.ts';

let services: Services;
let proxy: CommitProxy;
let cuttable: Database;
before(async () => {
  services = await openTestServices();
  proxy = await openCommitProxy(services.databaseUrl);
  cuttable = connectDatabase(proxy.url, services.log, { defaultScope: 'system' });
});
after(async () => {
  await cuttable.sql.end();
  await proxy.close();
  await services.close();
});

type Act = (db: Database, job: Job, team: TestTeam) => Promise<unknown>;
const by = { keyId: 'key-test' };
const claim = { workerId: 'w', leaseSeconds: 60 };
const request = { requestHash: 'same', idempotencyKey: 'once' };
const checkpoint = { step: 5, metrics: {}, path: 'x', bytes: 1, digest: 'd', seconds: 1, series: [] };

/** Transitions from a job in this state. */
const transitions: [name: string, from: JobState, act: Act][] = [
  ['create', 'validating', (db, _, team) => createJob(db, team.id, newTestJob(team, request))],
  ['claim a validation', 'validating', (db, { id }) => claimValidation(db, { ...claim, id })],
  ['dispatched → running', 'dispatched', (db, job) => claimJob(db, leaseOf(job), claim)],
  ['checkpoint', 'running', (db, job) => recordCheckpoint(db, leaseOf(job), checkpoint)],
  ['publish', 'running', (db, job) => publishAdapterVersion(db, leaseOf(job), testAdapter)],
  ['fail', 'running', (db, job) => failJob(db, leaseOf(job), userFault)],
  ['try again', 'running', (db, job) => failJob(db, leaseOf(job), systemFault)],
  ['return', 'running', (db, job) => returnJob(db, leaseOf(job), { workerId: 'w', reason: 'x' })],
  ['release', 'running', (db, job) => releaseJob(db, leaseOf(job))],
  ['cancel', 'queued', (db, { id }, team) => cancelJob(db, team.id, id, by)],
  ['ask to cancel', 'running', (db, { id }, team) => cancelJob(db, team.id, id, by)],
  ['pause', 'queued', (db, { id }, team) => pauseJob(db, team.id, id, by)],
  ['resume', 'paused', (db, { id }, team) => resumeJob(db, team.id, id, by)],
];

/** Transitions that need an earlier request, claim or loss. */
const prepared: [name: string, from: JobState, prepare: Act, act: Act][] = [
  [
    'cancel as asked',
    'running',
    (db, { id }, team) => cancelJob(db, team.id, id, by),
    (db, job) => cancelRunningJob(db, leaseOf(job)),
  ],
  [
    'pause as asked',
    'running',
    (db, { id }, team) => pauseJob(db, team.id, id, by),
    (db, job) => pauseRunningJob(db, leaseOf(job)),
  ],
  [
    'sweep',
    'running',
    (db, { id }) => db.sql.query("UPDATE jobs SET lease_until = now() - interval '1 s' WHERE id = $1", [id]),
    async (db) => (await sweepExpiredLeases(db, { leaseSeconds: 0 }))[0],
  ],
  ...(
    [
      ['validated', (db, lease) => finishValidation(db, lease, { ok: true, resolvedTraining: {} as never })],
      ['not valid', (db, lease) => finishValidation(db, lease, { ok: false, error: userFault })],
      ['hand a validation on', (db, lease) => releaseValidation(db, lease)],
    ] satisfies [string, (db: Database, lease: Lease) => Promise<unknown>][]
  ).map(([name, act]): [string, JobState, Act, Act] => [
    name,
    'validating',
    (db, { id }) => claimValidation(db, { ...claim, id }),
    async (db, { id, teamId }) => act(db, leaseOf((await getJob(services, teamId, id))!)),
  ]),
];

/** Returns everything that Postgres holds of a team, except ids and times. */
async function truthOf(team: TestTeam): Promise<object> {
  const { db } = services;
  const where = { teamId: team.id };
  const jobs = await db.job.findMany({ where, orderBy: { createdAt: 'asc' } });
  const events = await db.jobEvent.findMany({ where, orderBy: { seq: 'asc' } });
  const attempts = await db.jobAttempt.findMany({ where, orderBy: { leaseEpoch: 'asc' } });
  return {
    jobs: jobs.map(({ state, leaseEpoch, attempts, environmentFaults, validationAttempts, error }) => {
      return { state, leaseEpoch, attempts, environmentFaults, validationAttempts, error };
    }),
    events: events.map(({ message }) => message.replace(/(job-|ft:)\S+/, '')),
    attempts: attempts.map(({ leaseEpoch, kind, outcome }) => ({ leaseEpoch, kind, outcome })),
    rows: [
      await db.auditEntry.count({ where }),
      await db.outbox.count({ where }),
      await db.adapterVersion.count({ where }),
      await db.checkpoint.count({ where }),
      await db.idempotencyKey.count({ where }),
    ],
  };
}

async function start(from: JobState, prepare: Act | undefined): Promise<{ team: TestTeam; job: Job }> {
  const team = await createTestTeam(services);
  const job = await createTestJob(services, team, from);
  await prepare?.(services, job, team);
  return { team, job };
}

describe('a connection that breaks at the COMMIT', () => {
  const all = [...transitions.map(([name, from, act]) => [name, from, undefined, act] as const), ...prepared];
  for (const [name, from, prepare, act] of all) {
    test(`${name}, from ${from}`, async () => {
      const control = await start(from, prepare);
      const untouched = await truthOf(control.team);
      assert.ok(await act(services, control.job, control.team));
      const done = await truthOf(control.team);

      const answered = await start(from, prepare);
      const { cuts } = proxy;
      proxy.cutNextCommit('answer');
      assert.ok(await act(cuttable, answered.job, answered.team), 'it was committed, and the caller knows');
      assert.deepEqual(await truthOf(answered.team), done);

      const lost = await start(from, prepare);
      proxy.cutNextCommit('request');
      await assert.rejects(act(cuttable, lost.job, lost.team), isDatabaseUnavailable);
      assert.deepEqual(await truthOf(lost.team), untouched);
      assert.ok(await act(cuttable, lost.job, lost.team), 'it may be repeated');
      assert.deepEqual(await truthOf(lost.team), done);
      assert.equal(proxy.cuts, cuts + 2);
    });
  }
});

test('a publication that an outage of Postgres hid for longer is found by the next request', async () => {
  const { team, job } = await start('running', undefined);
  const publish = async () => await publishAdapterVersion(cuttable, leaseOf(job), testAdapter);
  const first = (await publish())!;
  const again = (await publish())!;
  assert.deepEqual([again.job.state, again.version], ['succeeded', first.version]);
  const fenced = await publishAdapterVersion(
    services,
    { ...leaseOf(job), epoch: job.leaseEpoch - 1 },
    testAdapter,
  );
  assert.equal(fenced, null);
  assert.equal(await services.db.adapterVersion.count({ where: { teamId: team.id } }), 1);
});

test('while Postgres stays away nobody knows of the COMMIT; the request is answered its job when it is repeated', async () => {
  const team = await createTestTeam(services);
  const create = async (db: Database) => await createJob(db, team.id, newTestJob(team, request));
  proxy.cutNextCommit('answer', 'away');
  await assert.rejects(
    create(cuttable),
    (error: Error) => isDatabaseUnavailable(error) && /its outcome is unknown/.test(error.message),
  );
  proxy.away = false;
  const { created } = await create(services);
  assert.ok(!created);
  assert.equal(await services.db.job.count({ where: { teamId: team.id } }), 1);
});
