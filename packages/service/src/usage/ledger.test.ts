/** The ledger agrees with jobs, attempts and stored rows, whatever happens to them. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { publishUpload } from '../adapters/publish-upload.ts';
import { withTeamScope } from '../database/database-scope.ts';
import { createFile, deleteFile } from '../files/file-records.ts';
import { type Job, type Lease, leaseOf } from '../jobs/job.ts';
import { recordMetrics } from '../jobs/leases/job-metrics.ts';
import { recordCheckpoint, resumeFromCheckpoint } from '../jobs/leases/record-checkpoint.ts';
import { getJob } from '../jobs/records/read-jobs.ts';
import { claimJob } from '../jobs/transitions/claim-job.ts';
import { sweepExpiredLeases } from '../jobs/transitions/expiry/sweep-expired-leases.ts';
import { failJob } from '../jobs/transitions/fail-job.ts';
import { publishAdapterVersion } from '../jobs/transitions/publish-adapter-version.ts';
import { cancelRunningJob } from '../jobs/transitions/stop-running-job.ts';
import { cancelJob } from '../jobs/transitions/user-requests.ts';
import type { Services } from '../services.ts';
import {
  createTestJob,
  createTestTeam,
  dispatch,
  systemFault,
  type TestTeam,
  testAdapter,
} from '../testing/job-fixtures.ts';
import { openFenced, openTestServices } from '../testing/open-test-services.ts';
import { claimUpload, finishUpload } from '../uploads/complete-upload.ts';
import { addPart, cancelUpload, createUpload } from '../uploads/upload-records.ts';
import { checkUsage } from './check-usage.ts';

let services: Services;
/** Services with row-level security, as the API uses them. */
let fenced: Services;
let close: () => Promise<void>;
let team: TestTeam;
before(async () => {
  services = await openTestServices();
  const pool = openFenced(services);
  close = pool.close;
  fenced = { ...services, ...pool.database };
  team = await createTestTeam(services);
});
after(async () => {
  await close();
  await services.close();
});

/** Returns sums by subject. */
async function sums(kind: string, of = team.id): Promise<Record<string, number>> {
  const { rows } = await services.sql.query<{ subject: string; sum: number }>(
    `SELECT subject, sum(quantity)::float8 AS sum FROM usage_ledger WHERE team_id = $1 AND kind = $2
     GROUP BY subject HAVING sum(quantity) <> 0`,
    [of, kind],
  );
  return Object.fromEntries(rows.map(({ subject, sum }) => [subject, sum]));
}

const metricAt = (step: number) => ({
  kind: 'train' as const,
  step,
  epoch: 1,
  loss: 1,
  tokens: 100 * step,
  metrics: {},
});
const series = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => metricAt(from + i));

async function checkpoint(lease: Lease, step: number, from: number): Promise<void> {
  const name = `checkpoints/${lease.id}/${lease.epoch}/step-${step}`;
  const written = { step, path: name, bytes: 9, digest: 'a'.repeat(64), seconds: 1, metrics: {} };
  assert.ok(await recordCheckpoint(services, lease, { ...written, series: series(from, step) }));
}

/** Simulates a lost worker: its lease of 60 s ran out a second ago, and its last sign of life was 61 s ago. */
async function lose({ id }: Job): Promise<void> {
  await services.sql.query(
    `UPDATE jobs SET lease_until = now() - interval '1 second', worker_id = 'gone' WHERE id = $1`,
    [id],
  );
  const swept = await sweepExpiredLeases(services, { leaseSeconds: 60, dead: ['gone'] });
  assert.deepEqual(
    swept.map((job) => job.id),
    [id],
  );
}

async function begin(job: Job): Promise<Lease> {
  await services.sql.query('UPDATE jobs SET run_after = now() WHERE id = $1', [job.id]);
  const dispatched = await dispatch(services, job.id);
  return leaseOf((await claimJob(services, dispatched, { workerId: 'w', leaseSeconds: 60 }))!);
}

const startedEarlier = (id: string, seconds: number) =>
  services.sql.query(
    `UPDATE job_attempts SET started_at = now() - make_interval(secs => $2) WHERE job_id = $1 AND ended_at IS NULL`,
    [id, seconds],
  );

describe('a job', () => {
  test('that is resumed counts each step once, and each attempt’s seconds', async () => {
    const job = await createTestJob(services, team, 'running');
    const first = leaseOf(job);
    await startedEarlier(job.id, 200);
    await checkpoint(first, 4, 1);
    assert.equal((await sums('trained_tokens'))[job.id], 400);
    const soFar = (await sums('device_seconds'))[`${job.id}/${first.epoch}`]!;
    assert.ok(soFar >= 200 && soFar < 220, String(soFar));
    await recordMetrics(services, first, series(5, 7));
    await lose(job);
    // Its last sign of life was before its last entry: the excess is subtracted.
    const lost = (await sums('device_seconds'))[`${job.id}/${first.epoch}`]!;
    assert.ok(lost < soFar && lost >= 138, String(lost));

    const second = await begin(job);
    assert.ok(await resumeFromCheckpoint(services, second, 4, () => series(1, 4)));
    await checkpoint(second, 8, 5);
    await checkpoint(second, 8, 5);
    assert.equal((await sums('trained_tokens'))[job.id], 800);
    await recordMetrics(services, second, series(9, 10));
    const done = await publishAdapterVersion(services, second, { ...testAdapter, trainedTokens: 1000 });
    assert.equal(done!.job.trainedTokens, 1000);
    assert.equal((await sums('trained_tokens'))[job.id], 1000);
    assert.deepEqual(await checkUsage(services), []);
    const { rows } = await services.sql.query(
      `SELECT DISTINCT key_id, model, base_model FROM usage_ledger WHERE job_id = $1 AND kind <> 'stored_bytes'`,
      [job.id],
    );
    assert.deepEqual(rows, [{ key_id: team.keyId, model: job.model, base_model: job.model }]);
  });

  test('that falls back behind a damaged checkpoint pays once for what it had', async () => {
    const job = await createTestJob(services, team, 'running');
    const first = leaseOf(job);
    await checkpoint(first, 2, 1);
    await checkpoint(first, 4, 3);
    await lose(job);
    const second = await begin(job);
    assert.ok(await resumeFromCheckpoint(services, second, 2, () => series(1, 2)));
    await checkpoint(second, 3, 3);
    assert.equal((await sums('trained_tokens'))[job.id], 400);
    await cancelJob(services, team.id, job.id, { keyId: 'key-test' });
    const cancelled = await cancelRunningJob(services, second);
    assert.equal(cancelled!.trainedTokens, 400);
    assert.equal((await sums('trained_tokens'))[job.id], 400);
  });

  test('that is cancelled or fails counts what it used; one that never trained counts nothing', async () => {
    const cancelled = await createTestJob(services, team, 'running');
    await recordMetrics(services, leaseOf(cancelled), series(1, 3));
    await cancelJob(services, team.id, cancelled.id, { keyId: 'key-test' });
    await cancelRunningJob(services, leaseOf(cancelled));
    const failed = await createTestJob(services, team, 'running');
    await recordMetrics(services, leaseOf(failed), series(1, 5));
    await failJob(services, leaseOf(failed), { ...systemFault, fault: 'user' });
    const queued = await createTestJob(services, team, 'cancelled');
    const tokens = await sums('trained_tokens');
    for (const [job, expected] of [
      [cancelled, 300],
      [failed, 500],
      [queued, null],
    ] as const) {
      assert.equal((await getJob(services, team.id, job.id))!.trainedTokens, expected);
      assert.equal(tokens[job.id] ?? null, expected);
    }
    assert.deepEqual(await checkUsage(services), []);
  });

  test('that is fenced enters nothing', async () => {
    const job = await createTestJob(services, team, 'running');
    const first = leaseOf(job);
    await lose(job);
    const before = await sums('device_seconds');
    assert.equal(await publishAdapterVersion(services, first, testAdapter), null);
    assert.deepEqual(await sums('device_seconds'), before);
    assert.equal((await sums('trained_tokens'))[job.id], undefined);
  });
});

describe('stored bytes', () => {
  const newFile = (name: string, bytes: number) => ({
    filename: name,
    purpose: 'fine-tune' as const,
    bytes,
    sha256: 'a'.repeat(64),
    path: name,
    status: 'processed' as const,
    format: null,
    examples: null,
    keyId: team.keyId,
  });

  test('come with files, parts and versions, and go with them, under the key that brought them', async () => {
    await withTeamScope(team.id, async () => {
      const file = await createFile(fenced, team.id, newFile('one', 1000));
      assert.equal((await sums('stored_bytes'))[file.id], 1000);
      assert.ok(await deleteFile(fenced, team.id, file.id, { keyId: 'key-test' }));
      assert.equal((await sums('stored_bytes'))[file.id], undefined);
      const { rows } = await services.sql.query(
        'SELECT quantity::int AS n, key_id FROM usage_ledger WHERE subject = $1 ORDER BY id',
        [file.id],
      );
      assert.deepEqual(rows, [
        { n: 1000, key_id: team.keyId },
        { n: -1000, key_id: team.keyId },
      ]);

      const upload = {
        filename: 'parts',
        mimeType: 'application/jsonl',
        bytes: 30,
        keyId: team.keyId,
        seconds: 60,
      };
      const whole = await createUpload(fenced, team.id, upload, { most: 9 });
      const part = (await addPart(fenced, team.id, whole.id, {
        path: 'p1',
        bytes: 30,
        sha256: 'b'.repeat(64),
      }))!;
      assert.equal((await sums('stored_bytes'))[part.id], 30);
      const claim = { teamId: team.id, uploadId: whole.id, holder: 'h' };
      await claimUpload(fenced, claim, [part.id]);
      const made = await finishUpload(fenced, claim, [part.id], newFile('two', 30));
      const now = await sums('stored_bytes');
      assert.deepEqual([now[part.id], now[made!.file.id]], [undefined, 30]);

      const given = await createUpload(fenced, team.id, upload, { most: 9 });
      const lost = (await addPart(fenced, team.id, given.id, {
        path: 'p2',
        bytes: 7,
        sha256: 'c'.repeat(64),
      }))!;
      await cancelUpload(fenced, team.id, given.id, { keyId: 'key-test' });
      assert.equal((await sums('stored_bytes'))[lost.id], undefined);

      const { trainedTokens: _, ...stored } = testAdapter;
      const version = await publishUpload(
        fenced,
        team.id,
        {
          ...stored,
          bytes: 77,
          name: 'mine',
          base: { id: 'tiny', digest: 'b' },
          parentId: null,
          note: null,
          peft: (await getJob(fenced, team.id, (await fenced.db.job.findFirstOrThrow()).id))!.peft,
        },
        { keyId: team.keyId },
      );
      assert.equal((await sums('stored_bytes'))[version.id], 77);
    });
    assert.deepEqual(await checkUsage(services), []);
  });
});

describe('the ledger', () => {
  test('is changed by nobody, and a team sees and adds to its own alone', async () => {
    for (const text of [
      'UPDATE usage_ledger SET quantity = 0',
      'DELETE FROM usage_ledger',
      'TRUNCATE usage_ledger',
    ])
      await assert.rejects(services.sql.query(text), { code: 'GU001' }, text);
    const stranger = await createTestTeam(services);
    await withTeamScope(stranger.id, async () => {
      const { rows } = await fenced.sql.query('SELECT DISTINCT team_id FROM usage_ledger');
      assert.deepEqual(rows, [{ team_id: stranger.id }]);
      const entry = `INSERT INTO usage_ledger (team_id, kind, quantity, subject) VALUES ($1, 'input_tokens', 1, 'x')`;
      await assert.rejects(fenced.sql.query(entry, [team.id]), { code: '42501' });
      await assert.rejects(fenced.sql.query('DELETE FROM usage_ledger'), { code: '42501' });
    });
    const half = `INSERT INTO usage_ledger (team_id, kind, quantity, subject) VALUES ($1, 'input_tokens', 0.5, 'x')`;
    await assert.rejects(services.sql.query(half, [team.id]), { code: '23514' });
  });

  test('is found to differ by a token, a millisecond or a byte', async () => {
    const own = await createTestTeam(services);
    const job = await createTestJob(services, own, 'succeeded');
    const { rows: attempts } = await services.sql.query<{ subject: string }>(
      `SELECT job_id || '/' || lease_epoch AS subject FROM job_attempts WHERE job_id = $1 AND kind = 'training'`,
      [job.id],
    );
    assert.deepEqual(await checkUsage(services), []);
    const enter = `INSERT INTO usage_ledger (team_id, kind, quantity, subject) VALUES ($1, $2, $3, $4)`;
    const wrong = [
      ['device_seconds', 0.001, attempts[0]!.subject],
      ['stored_bytes', 1, own.fileId],
      ['stored_bytes', 5, 'file-none'],
      ['trained_tokens', -1, job.id],
    ] as const;
    for (const entry of wrong) await services.sql.query(enter, [own.id, ...entry]);
    await recordMetricsOf(own.id, job.id, 1233);
    const found = await checkUsage(services);
    assert.deepEqual(
      found.map(({ teamId, kind, subject }) => [teamId, kind, subject]).sort(),
      [...wrong.map(([kind, , subject]) => [own.id, kind, subject]), [own.id, 'metrics', job.id]].sort(),
    );
    assert.deepEqual(
      found.find(({ subject }) => subject === 'file-none'),
      { teamId: own.id, kind: 'stored_bytes', subject: 'file-none', counted: null, entered: 5 },
    );
  });

  async function recordMetricsOf(teamId: string, jobId: string, tokens: number): Promise<void> {
    await services.sql.query(
      `INSERT INTO job_metrics (team_id, job_id, kind, step, loss, tokens) VALUES ($1, $2, 'train', 1, 1, $3)`,
      [teamId, jobId, tokens],
    );
  }
});
