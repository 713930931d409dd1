import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inTransaction } from '../../database/in-transaction.ts';
import type { Services } from '../../services.ts';
import { createTestJob, createTestTeam, type TestTeam } from '../../testing/job-fixtures.ts';
import { listCheckpoints } from '../../testing/list-checkpoints.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { type Job, leaseOf } from '../job.ts';
import {
  type JobMetric,
  lackingMetrics,
  recordKnownRate,
  recordMetrics,
  recordProgress,
} from '../leases/job-metrics.ts';
import {
  listKeptCheckpoints,
  markCheckpointsDeleted,
  recordCheckpoint,
  resumeFromCheckpoint,
} from '../leases/record-checkpoint.ts';
import { appendEvent, underLease } from '../leases/write-under-lease.ts';
import { insertEvent } from './job-event.ts';
import { listEvents } from './read-job-history.ts';
import { getJob, listJobs } from './read-jobs.ts';
import { readMetricStretches, readMetrics } from './read-metrics.ts';
import { findValidationResult, forgetValidationResults, keepValidationResult } from './validation-results.ts';
import { readJobChanges } from './watch-jobs.ts';

let services: Services;
let team: TestTeam;
let other: TestTeam;
before(async () => {
  services = await openTestServices();
  team = await createTestTeam(services);
  other = await createTestTeam(services);
});
after(async () => await services.close());

const train = (step: number, loss = 1 / step): JobMetric => ({
  kind: 'train',
  step,
  epoch: step / 10,
  loss,
  tokens: 3_000_000_000 + step,
  metrics: {
    token_accuracy: 0.25,
    learning_rate: 2e-4,
    grad_norm: 1.5,
    tokens_per_second: 123.5,
    memory_bytes: 7_000_000_000 + step,
  },
  trial: null,
  trialStep: null,
});

test('who reads events on behind the last one misses none that was written at the same time', async () => {
  const job = await createTestJob(services, team, 'running');
  const lease = leaseOf(job);
  let goOn = () => {};
  let first: Promise<boolean> | undefined;
  await new Promise<void>((written) => {
    first = underLease(services, lease, ['running'], async (tx) => {
      await insertEvent(tx, job, { message: 'first' });
      const held = new Promise<void>((resolve) => {
        goOn = resolve;
      });
      written();
      await held;
    });
  });
  const second = appendEvent(services, lease, { message: 'second' });
  const watched = { teamId: team.id, jobId: job.id, seq: 0 };
  const look = async () => {
    const [news] = await readJobChanges(services, [watched]);
    watched.seq = Math.max(watched.seq, ...news!.events.map(({ seq }) => seq));
    return news!.events.map(({ message }) => message).filter((message) => /^(first|second)$/.test(message));
  };
  const seen = await look();
  // Long enough for the second transaction to overtake, if it could.
  await Promise.race([second, sleep(300)]);
  seen.push(...(await look()));
  goOn();
  assert.deepEqual(await Promise.all([first, second]), [true, true]);
  seen.push(...(await look()));
  assert.deepEqual(seen, ['first', 'second']);
});

test('metrics come back as they were written; an attempt that repeats a step overwrites it', async () => {
  const job = await createTestJob(services, team, 'running');
  const lease = leaseOf(job);
  assert.ok(await recordMetrics(services, lease, [train(1), train(2), evaluation(2)]));
  assert.ok(await recordMetrics(services, lease, [train(2, 0.125), train(3)]));
  const { data: series } = await readMetrics(services, team.id, job.id, { limit: 10 });
  assert.deepEqual(
    series.map(({ createdAt: _, ...metric }) => metric),
    [train(1), evaluation(2), train(2, 0.125), train(3)],
  );
  assert.deepEqual(
    (await readMetrics(services, team.id, job.id, { afterStep: 2, limit: 10 })).data.map(({ step }) => step),
    [3],
  );
  assert.deepEqual((await readMetrics(services, other.id, job.id, { limit: 10 })).data, []);
  const pages: number[][] = [];
  for (let afterStep = 0, hasMore = true; hasMore; afterStep = pages.at(-1)!.at(-1)!) {
    const page = await readMetrics(services, team.id, job.id, { afterStep, limit: 1 });
    hasMore = page.hasMore;
    pages.push(page.data.map(({ step }) => step));
  }
  assert.deepEqual(pages, [[1], [2, 2], [3]], 'no page tears the metrics of a step apart');
});

test('a long series is summed up in stretches of equal width, the extremes of loss and memory kept', async () => {
  const job = await createTestJob(services, team, 'running');
  const losses = Array.from({ length: 1000 }, (_, i) => (i === 499 ? 100 : i === 700 ? -3 : 1));
  await recordMetrics(
    services,
    leaseOf(job),
    losses.map((loss, i): JobMetric => {
      const metrics: JobMetric['metrics'] = i < 100 ? {} : { memory_bytes: i === 555 ? 9e9 : 8e9 };
      return { ...train(i + 1, loss), metrics };
    }),
  );
  const series = await readMetricStretches(services, team.id, job.id, { resolution: 10 });
  assert.deepEqual(
    series.map(({ step, stretch }) => [stretch.firstStep, step, stretch.count]),
    Array.from({ length: 10 }, (_, i) => [100 * i + 1, 100 * (i + 1), 100]),
  );
  assert.equal(series[4]!.stretch.lossMax, 100);
  assert.equal(series[4]!.stretch.lossMean, 1.99);
  assert.equal(series[7]!.stretch.lossMin, -3);
  const memory = series.map(({ metrics, stretch }) => [metrics.memory_bytes ?? null, stretch.memoryBytesMax]);
  assert.deepEqual(memory.slice(0, 2), [
    [null, null],
    [8e9, 8e9],
  ]);
  assert.deepEqual(memory[5], [8e9, 9e9]);
  const rest = await readMetricStretches(services, team.id, job.id, { resolution: 2000, afterStep: 990 });
  assert.deepEqual(
    rest.map(({ step, stretch }) => [step, stretch.count]),
    Array.from({ length: 10 }, (_, i) => [991 + i, 1]),
  );
  assert.deepEqual(await readMetricStretches(services, other.id, job.id, { resolution: 10 }), []);
});

const checkpoint = (step: number, series: JobMetric[] = []) => ({
  step,
  metrics: { trainLoss: 1 },
  path: `c/${step}`,
  bytes: 2_345_678,
  digest: `digest ${step}`,
  seconds: 0.25,
  series,
});
const evaluation = (step: number): JobMetric => ({
  ...train(step),
  kind: 'evaluation',
  tokens: null,
  metrics: { token_accuracy: 0.25 },
});
const seriesOf = async (job: Job) =>
  (await readMetrics(services, team.id, job.id, { limit: 1000 })).data.map(
    ({ createdAt: _, ...metric }) => metric,
  );

test('a checkpoint comes with the metrics up to it, and made again after a lost answer it is one', async () => {
  const job = await createTestJob(services, team, 'running');
  const lease = leaseOf(job);
  await recordMetrics(services, lease, [train(1)]);
  for (let i = 0; i < 2; i++) {
    const row = await recordCheckpoint(services, lease, checkpoint(2, [train(2), evaluation(2)]));
    assert.deepEqual([row!.digest, row!.seconds, row!.removedAt], ['digest 2', 0.25, null]);
  }
  assert.deepEqual(await seriesOf(job), [train(1), evaluation(2), train(2)]);
  const { data } = await listEvents(services, team.id, job.id, { limit: 100 });
  const checkpointEvents = data.filter(({ message }) => message.startsWith('Checkpoint'));
  assert.deepEqual(
    checkpointEvents.map(({ message, data }) => [message, data]),
    [['Checkpoint created at step 2: 2.35 MB in 0.3 s', { step: 2, bytes: 2_345_678, seconds: 0.25 }]],
  );
});

test('a new attempt makes the metrics those of its checkpoint, whatever lost attempts left', async () => {
  const job = await createTestJob(services, team, 'running');
  const lease = leaseOf(job);
  // A gap at 2, another value at 1, an evaluation that did not happen, and metrics after the checkpoint.
  await recordMetrics(services, lease, [
    train(1, 9),
    evaluation(1),
    train(3),
    train(4),
    train(5),
    evaluation(5),
  ]);
  for (const step of [2, 3, 5]) await recordCheckpoint(services, lease, checkpoint(step));
  const series = [train(1), train(2), evaluation(2), train(3)];
  for (let i = 0; i < 2; i++) {
    assert.ok(await resumeFromCheckpoint(services, lease, 3, () => series));
    assert.deepEqual(await seriesOf(job), [train(1), evaluation(2), train(2), train(3)]);
  }
  const withMetrics = (row: JobMetric, metrics: JobMetric['metrics']) => ({
    ...row,
    metrics: { ...row.metrics, ...metrics },
  });
  await recordMetrics(services, lease, [withMetrics(train(3), { memory_bytes: 1 })]);
  assert.ok(await resumeFromCheckpoint(services, lease, 3, () => series));
  assert.deepEqual((await seriesOf(job)).at(-1), train(3), 'though they differ in the memory alone');
  // The series of a checkpoint does not hold every metric.
  const named = withMetrics(evaluation(2), { macro_f1: 0.5 });
  await recordMetrics(services, lease, [named, withMetrics(train(2), { grad_norm: 9 })]);
  assert.ok(await resumeFromCheckpoint(services, lease, 3, () => series));
  assert.deepEqual(await seriesOf(job), [train(1), named, train(2), train(3)]);
  const data = await listCheckpoints(services, team.id, job.id);
  assert.deepEqual(
    data.map(({ step, path, bytes, metrics }) => ({ step, path, bytes, metrics })),
    [3, 2].map((step) => ({ step, path: `c/${step}`, bytes: 2_345_678, metrics: { trainLoss: 1 } })),
  );
  assert.match(data[0]!.id, /^ftckpt_/);
  assert.equal(
    (await getJob(services, team.id, job.id))!.lastCheckpointStep,
    5,
    'the highest there ever was',
  );
  assert.ok(await resumeFromCheckpoint(services, lease, 0, () => []));
  assert.deepEqual(await seriesOf(job), []);
});

test('metrics of a worker that does not report the memory are accepted, and none are missing where it resumes', async () => {
  const job = await createTestJob(services, team, 'running');
  const { memory_bytes: _, ...metrics } = train(1).metrics;
  const before = { ...train(1), metrics };
  assert.ok(await recordMetrics(services, leaseOf(job), [before]));
  assert.deepEqual(await seriesOf(job), [before]);
  assert.deepEqual(await lackingMetrics(services, job.id, 1, [before]), []);
  assert.deepEqual(await lackingMetrics(services, job.id, 1, [train(1)]), [train(1)]);
});

test('a checkpoint whose folder is dropped stays in the history, and is not one to resume from', async () => {
  const job = await createTestJob(services, team, 'running');
  const lease = leaseOf(job);
  for (const step of [2, 4, 6]) await recordCheckpoint(services, lease, checkpoint(step));
  assert.ok(await markCheckpointsDeleted(services, lease, [2]));
  const kept = await listKeptCheckpoints(services, team.id, job.id);
  assert.deepEqual(
    kept.map(({ step }) => step),
    [6, 4],
  );
  const data = await listCheckpoints(services, team.id, job.id);
  assert.deepEqual(
    data.map(({ step, removedAt }) => [step, removedAt !== null]),
    [
      [6, false],
      [4, false],
      [2, true],
    ],
  );
  assert.deepEqual(await listKeptCheckpoints(services, other.id, job.id), []);
  // A later attempt that resumed from an earlier step makes it again.
  await recordCheckpoint(services, lease, { ...checkpoint(2), path: 'd/2' });
  assert.equal((await listKeptCheckpoints(services, team.id, job.id)).length, 3);
});

test('progress is replaced', async () => {
  const job = await createTestJob(services, team, 'running');
  const progress = {
    step: 3,
    totalSteps: 9,
    epoch: 1.2,
    tokens: 99,
    tokensPerSecond: 5.5,
    secondsRemaining: null,
  };
  assert.ok(await recordProgress(services, leaseOf(job), progress));
  assert.deepEqual((await getJob(services, team.id, job.id))!.progress, progress);
});

test('a job whose answers the base model knows has the rate that it uses, and keeps the other option', async () => {
  const job = await createTestJob(services, team, 'running');
  const rates = { learning_rate: 2e-4, learning_rate_if_known: 2e-6 };
  await services.sql.query(
    'UPDATE jobs SET resolved_training = resolved_training || $2::jsonb WHERE id = $1',
    [job.id, JSON.stringify(rates)],
  );
  for (const _ of ['an attempt', 'another']) {
    assert.ok(await recordKnownRate(services, leaseOf(job)));
    const { resolvedTraining } = (await getJob(services, team.id, job.id))!;
    assert.deepEqual(resolvedTraining, {
      ...job.resolvedTraining,
      learning_rate: 2e-6,
      learning_rate_if_known: 2e-6,
    });
  }
});

test('an event has the time at which it was written, however long its transaction has lasted', async () => {
  const job = await createTestJob(services, team, 'running');
  await inTransaction(services, async (tx) => {
    await insertEvent(tx, job, { message: 'before' });
    await tx.$executeRaw`SELECT pg_sleep(0.05)`;
    await insertEvent(tx, job, { message: 'after' });
  });
  const { data } = await listEvents(services, team.id, job.id, { limit: 2 });
  const [later, earlier] = data.map(({ createdAt }) => createdAt.getTime()) as [number, number];
  assert.ok(later - earlier >= 49, `${later - earlier} ms apart`);
});

test('events page newest first, and stream oldest first', async () => {
  const job = await createTestJob(services, team, 'running');
  const watch = async (seq: number, teamId = team.id) =>
    (await readJobChanges(services, [{ teamId, jobId: job.id, seq }]))[0]!;
  const start = (await watch(0)).events.at(-1)!.seq;
  for (let i = 1; i <= 5; i++) {
    const data = { step: i };
    assert.ok(
      await appendEvent(services, leaseOf(job), {
        message: `event ${i}`,
        type: 'metrics',
        level: 'warn',
        data,
      }),
    );
  }
  const first = await listEvents(services, team.id, job.id, { limit: 2 });
  assert.deepEqual([first.data.map(({ message }) => message), first.hasMore], [['event 5', 'event 4'], true]);
  const { level, type, data, jobId } = first.data[0]!;
  assert.deepEqual(
    { level, type, data, jobId },
    { level: 'warn', type: 'metrics', data: { step: 5 }, jobId: job.id },
  );
  const second = await listEvents(services, team.id, job.id, { limit: 2, after: first.data[1]!.id });
  assert.deepEqual(
    second.data.map(({ message }) => message),
    ['event 3', 'event 2'],
  );
  const all = await listEvents(services, team.id, job.id, { limit: 100 });
  assert.equal(all.hasMore, false);
  const streamed = await watch(start);
  assert.equal(streamed.finished, false);
  assert.deepEqual(
    streamed.events.map(({ message }) => message),
    [1, 2, 3, 4, 5].map((i) => `event ${i}`),
  );
  assert.deepEqual(await watch(0, other.id), { events: [], more: false, finished: true });
  await assert.rejects(listEvents(services, team.id, job.id, { limit: 2, after: 'ftevent-nope' }), {
    code: 'invalid_cursor',
    param: 'after',
  });
});

test('jobs page newest first within a team, and by metadata', async () => {
  const [mine, theirs] = [await createTestTeam(services), await createTestTeam(services)];
  const jobs: Job[] = [];
  for (let i = 0; i < 5; i++) {
    const metadata = i % 2 === 0 ? { kind: 'even', "it's": 'quoted"' } : null;
    jobs.unshift(await createTestJob(services, mine, 'validating', { metadata }));
  }
  await createTestJob(services, theirs, 'validating');
  // Rows with the same microsecond are ordered by their id.
  await services.sql.query('UPDATE jobs SET created_at = now() WHERE team_id = $1', [mine.id]);
  const found: string[] = [];
  for (let after: string | undefined; ; after = found.at(-1)) {
    const page = await listJobs(services, mine.id, { limit: 2, after });
    found.push(...page.data.map((job) => job.id));
    if (!page.hasMore) break;
  }
  assert.deepEqual(
    found,
    jobs
      .map((job) => job.id)
      .sort()
      .reverse(),
  );
  const even = await listJobs(services, mine.id, { limit: 10, metadata: { "it's": 'quoted"' } });
  assert.equal(even.data.length, 3);
  const foreign = (await listJobs(services, theirs.id, { limit: 1 })).data[0]!.id;
  await assert.rejects(listJobs(services, mine.id, { limit: 2, after: foreign }), { code: 'invalid_cursor' });
});

test('what a validation found is deleted after a week, since it outlives the file', async () => {
  const team = await createTestTeam(services);
  const error = { code: 'invalid_file', message: 'Line 3 is no JSON', param: null, fault: 'user' } as const;
  for (const key of ['old', 'new']) await keepValidationResult(services, team.id, key, error);
  await services.sql.query(
    "UPDATE validation_results SET created_at = now() - interval '7 days 1 minute' WHERE team_id = $1 AND key = 'old'",
    [team.id],
  );
  assert.equal(await findValidationResult(services, team.id, 'old'), null);
  await forgetValidationResults(services);
  const left = await services.db.validationResult.findMany({ where: { teamId: team.id } });
  assert.deepEqual(
    left.map(({ key }) => key),
    ['new'],
  );
  assert.deepEqual((await findValidationResult(services, team.id, 'new'))?.error, error);
});
