/**
 * Random interleavings of everything that can happen to a job, on real SQL. The answers and rows of the transitions must match
 * job-model.ts; for concurrent operations they must match the model for one of their orders. GRAFT_MODEL_RUNS sets
 * the number of runs (`npm run chaos` tries 10,000), GRAFT_MODEL_SEED repeats a run.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { randomText } from '../../ids.ts';
import type { Services } from '../../services.ts';
import { createTestTeam, newTestJob, type TestTeam } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import type { JobState } from '../job.ts';
import { createJob } from '../transitions/create-job.ts';
import { type Answer, apply, isOver, type ModelJob, newModelJob, type Operation } from './job-model.ts';
import { holdTime, leaseSeconds, readModelJob, runOperation, type Subject } from './run-operation.ts';

const stories = Number(process.env.GRAFT_MODEL_RUNS ?? 200);
const seed = Number(process.env.GRAFT_MODEL_SEED ?? Date.now() % 2 ** 31);

let services: Services;
let team: TestTeam;
before(async () => {
  services = await openTestServices();
  // Durable commits would only slow the test down.
  await services.sql.query(
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$",
  );
  // No lease expires within one lease duration after Postgres starts.
  await services.sql.query(
    'SELECT pg_sleep(greatest(0, $1 - extract(epoch FROM now() - pg_postmaster_start_time())))',
    [leaseSeconds + 1],
  );
  team = await createTestTeam(services, 1_000_000);
  await services.sql.query(
    `INSERT INTO workers (id, hostname, pid, slots, heartbeat_at)
     VALUES ('worker-model', 'here', 1, 1000000, now() + interval '1 day')`,
  );
});
after(async () => await services.close());

/** An operation whose lease is `behind` epochs old, or, so that stories make progress, one of the operations that suit the state. */
type Draft = { suits: number } | { operation: Unleased; behind: number };
type Unleased = Operation extends infer T ? (T extends Operation ? Omit<T, 'lease'> : never) : never;

const validates: Unleased[] = [
  { type: 'claim validation' },
  { type: 'finish validation', ok: true },
  { type: 'finish validation', ok: true },
  { type: 'heartbeat validation', bytes: 50 },
  { type: 'release validation' },
  { type: 'lease runs out' },
];
const waits: Unleased[] = [
  { type: 'backoff passes' },
  { type: 'dispatch' },
  { type: 'dispatch' },
  { type: 'pause' },
];
const runs: Unleased[] = [
  ...(['pause', 'pause', 'cancel', 'resume', 'lease runs out', 'lease runs out', 'sweep'] as const),
  ...(['publish', 'release', 'release late', 'stop paused', 'stop cancelled', 'heartbeat'] as const),
].map((type) => ({ type }));
runs.push(
  { type: 'checkpoint', step: 3 },
  { type: 'checkpoint', step: 7 },
  ...(['system', 'system', 'environment'] as const).map((fault) => ({ type: 'fail' as const, fault })),
);
const suitable: Record<JobState, Unleased[]> = {
  validating: validates,
  queued: waits,
  dispatched: [{ type: 'claim' }, { type: 'claim' }, { type: 'pause' }],
  running: runs,
  paused: [{ type: 'resume' }, { type: 'resume' }, { type: 'cancel' }],
  succeeded: runs,
  failed: runs,
  cancelled: runs,
};
const everything: Unleased[] = [
  ...new Set([...validates, ...waits, ...runs]),
  { type: 'claim' },
  { type: 'create again' },
  { type: 'finish validation', ok: false },
  { type: 'heartbeat validation', bytes: 10 },
  { type: 'checkpoint', step: 1 },
  { type: 'fail', fault: 'user' },
];

const draft: fc.Arbitrary<Draft> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ suits: fc.nat(99) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      operation: fc.constantFrom(...everything),
      behind: fc.oneof(fc.constant(0), fc.constant(0), fc.integer({ min: -1, max: 3 })),
    }),
  },
);

/** One operation, or up to three at the same moment. */
const moment = fc.oneof(
  { weight: 3, arbitrary: draft.map((one) => [one]) },
  { weight: 2, arbitrary: fc.array(draft, { minLength: 2, maxLength: 3 }) },
);
const story = fc.array(moment, { minLength: 10, maxLength: 30 });

function operationOf(draft: Draft, { state, epoch }: ModelJob): Operation {
  if ('operation' in draft) return { ...draft.operation, lease: epoch - draft.behind } as Operation;
  const operations = suitable[state];
  return { ...operations[draft.suits % operations.length], lease: epoch } as Operation;
}

/** Operations that skip a row that another transaction holds at that moment, and try again later. */
const skipsLocked = new Set<Operation['type']>(['claim validation', 'dispatch', 'sweep']);

/** Returns the jobs that the model allows after these operations in some order, given their answers. */
function allowed(job: ModelJob, operations: Operation[], answers: Answer[], isAlone = true): ModelJob[] {
  if (operations.length === 0) return [job];
  return operations.flatMap((operation, index) => {
    const rest = operations.toSpliced(index, 1);
    const restAnswers = answers.toSpliced(index, 1);
    const given = answers[index];
    const alone = isAlone && rest.length === 0;
    const then = ([answer, next]: [Answer, ModelJob]) =>
      answer === given ? allowed(next, rest, restAnswers, false) : [];
    const after = then(apply(job, operation));
    if (alone || !skipsLocked.has(operation.type)) return after;
    if (given === 'nothing') return [...after, ...allowed(job, rest, restAnswers, false)];
    // A backoff of one second that started in this moment may have passed before the moment ends.
    return job.due ? after : [...after, ...then(apply({ ...job, due: true }, operation))];
  });
}

/** Leaves `due` out for a job that does not wait, where it affects nothing. */
function rowOf({ fromStep: _, due, ...row }: ModelJob): string {
  const waits = row.state === 'queued' || row.state === 'validating';
  return JSON.stringify(waits ? { ...row, due } : row, [...Object.keys(row), 'due'].sort());
}

async function takeMoment(subject: Subject, job: ModelJob, drafts: Draft[]): Promise<ModelJob> {
  const operations = drafts.map((draft) => operationOf(draft, job));
  const answers = await Promise.all(operations.map((operation) => runOperation(subject, operation)));
  const row = await readModelJob(subject);
  const candidates = allowed(job, operations, answers);
  const next = candidates.find((candidate) => rowOf(candidate) === rowOf({ ...row, fromStep: 0 }));
  if (!next) {
    assert.fail(
      `after ${JSON.stringify(operations)} answered ${JSON.stringify(answers)}\n  before ${rowOf(job)}\n  the row ${rowOf({ ...row, fromStep: 0 })}\n  allowed ${candidates.map(rowOf).join('\n          ') || 'no order of these answers'}`,
    );
  }
  await holdTime(subject);
  return next;
}

/** With healthy workers and no further faults, the job must end within a few rounds. */
async function finish(subject: Subject, job: ModelJob): Promise<ModelJob> {
  const act = async (operation: Unleased) => {
    job = await takeMoment(subject, job, [{ operation, behind: 0 }]);
  };
  if (job.state === 'paused') await act({ type: 'resume' });
  for (let round = 0; round < 8 && !isOver(job); round++) {
    await act({ type: 'lease runs out' });
    await act({ type: 'sweep' });
    await act({ type: 'backoff passes' });
    if (job.state === 'paused') await act({ type: 'resume' });
    if (job.state === 'validating') {
      await act({ type: 'claim validation' });
      await act({ type: 'finish validation', ok: true });
    }
    await act({ type: 'dispatch' });
    await act({ type: 'claim' });
    await act({ type: 'publish' });
  }
  assert.ok(isOver(job), `the job ends: ${rowOf(job)}`);
  return job;
}

/** Checks what must hold of the rows around an ended job, whatever happened to it. */
async function checkEnd({ jobId }: Subject, { state }: ModelJob): Promise<void> {
  const { rows } = await services.sql.query<Record<string, number>>(
    `SELECT (SELECT count(*)::int FROM adapter_versions WHERE job_id = $1) AS versions,
            (SELECT count(*)::int FROM outbox WHERE payload->>'id' = $1 AND topic ~ 'succeeded|failed|cancelled') AS announced,
            (SELECT count(*)::int FROM job_attempts WHERE job_id = $1 AND ended_at IS NULL) AS open,
            (SELECT count(*)::int FROM job_attempts WHERE job_id = $1 AND outcome = 'succeeded' AND kind = 'training')
              AS succeeded`,
    [jobId],
  );
  const made = state === 'succeeded' ? 1 : 0;
  assert.deepEqual(rows[0], { versions: made, announced: 1, open: 0, succeeded: made });
}

test(`${stories} random interleavings of transitions, zombies and users are what the model allows (seed ${seed})`, async () => {
  let moments = 0;
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(story, async (drafts) => {
      const request = newTestJob(team, { idempotencyKey: randomText(12) });
      const { job: created } = await createJob(services, team.id, request);
      const subject: Subject = { services, teamId: team.id, jobId: created.id, request };
      let job = newModelJob;
      try {
        for (const at of drafts) {
          job = await takeMoment(subject, job, at);
          seen.add(job.state);
          moments++;
        }
        job = await finish(subject, job);
        await checkEnd(subject, job);
        seen.add(job.state);
      } finally {
        // Dispatcher, sweeper and validator must find no job of another story.
        await services.sql.query('DELETE FROM jobs WHERE id = $1', [created.id]);
      }
    }),
    { numRuns: stories, seed, includeErrorInReport: true },
  );
  assert.equal(seen.size, 8, `every state was reached: ${[...seen]}`);
  assert.ok(moments >= stories);
});
