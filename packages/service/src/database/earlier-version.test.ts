/** Migrates a database of an earlier version, before leases of validations, checkpoints of epochs and artifact names, with its rows. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { findFineTunedModel } from '../adapters/read-adapters.ts';
import { checkpointFolder, dataFolder } from '../data-folder/data-folder.ts';
import { getFile } from '../files/file-records.ts';
import { type JobState, leaseOf } from '../jobs/job.ts';
import { listKeptCheckpoints } from '../jobs/leases/record-checkpoint.ts';
import { listAttempts } from '../jobs/records/read-job-history.ts';
import { getJob, listJobs } from '../jobs/records/read-jobs.ts';
import { claimJob } from '../jobs/transitions/claim-job.ts';
import { dispatchJobs } from '../jobs/transitions/dispatch-jobs.ts';
import { sweepExpiredLeases } from '../jobs/transitions/expiry/sweep-expired-leases.ts';
import { publishAdapterVersion } from '../jobs/transitions/publish-adapter-version.ts';
import { pauseJob, resumeJob } from '../jobs/transitions/user-requests.ts';
import { claimValidation, finishValidation } from '../jobs/transitions/validate-job.ts';
import { collectGarbage } from '../maintenance/collect-garbage.ts';
import { scrubObjects } from '../maintenance/scrub-objects.ts';
import type { Services } from '../services.ts';
import { testAdapter } from '../testing/job-fixtures.ts';
import { listCheckpoints } from '../testing/list-checkpoints.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { checkUsage } from '../usage/check-usage.ts';
import { registerWorker } from '../workers/worker-registry.ts';
import { migrateDatabase, readMigrations } from './migrate-database.ts';

const sha256 = (content: string) => createHash('sha256').update(content).digest('hex');
const teamId = 'team-1';
const modelName = 'ft:tiny:one::succeeded';
const fileKey = 'Ab'.repeat(12);
const content = '{"text":"1+1=2"}\n';
const digest = sha256(`${sha256('weights')} 7 adapter_model.safetensors\n`);
const states: JobState[] = ['validating', 'queued', 'dispatched', 'running', 'paused', 'succeeded', 'failed'];

let services: Services;
before(async () => {
  services = await openTestServices();
  const { sql, env } = services;
  await sql.query('DROP SCHEMA public CASCADE');
  await sql.query('CREATE SCHEMA public');
  // As in every new database.
  await sql.query('GRANT USAGE ON SCHEMA public TO PUBLIC');
  const migrations = await readMigrations();
  await migrateDatabase(services, migrations.slice(0, 2));
  await addRows();
  const { file, artifact } = dataFolder(env.dataDir);
  await mkdir(path.dirname(file(fileKey)), { recursive: true });
  await writeFile(file(fileKey), content);
  await mkdir(artifact(digest), { recursive: true });
  await writeFile(path.join(artifact(digest), 'adapter_model.safetensors'), 'weights');
  const names = await migrateDatabase(services);
  assert.equal(names.length, migrations.length - 2);
  await registerWorker(services, {
    id: 'w1',
    address: null,
    hostname: 'here',
    pid: 1,
    slots: 4,
    capabilities: { device: 'cpu', threads: 2, precisions: ['fp32'] },
  });
});
after(async () => await services.close());

async function addRows(): Promise<void> {
  const { sql } = services;
  await sql.query(`INSERT INTO teams (id, name) VALUES ($1, 'one')`, [teamId]);
  await sql.query(
    `INSERT INTO files (id, team_id, filename, purpose, bytes, sha256, path, status, format, examples)
     VALUES ('file-1', $1, 'a.jsonl', 'fine-tune', $2, $3, $4, 'processed', 'text', 1)`,
    [teamId, content.length, sha256(content), fileKey],
  );
  await sql.query(
    `INSERT INTO workers (id, hostname, pid, slots, heartbeat_at) VALUES ('old', 'h', 1, 1, now() - interval '2 minutes')`,
  );
  for (const state of states) {
    const under = state === 'running' || state === 'validating';
    await sql.query(
      `INSERT INTO jobs (id, team_id, state, model, seed, training_file_id, hyperparameters, peft, training, resolved_training,
         progress, lease_epoch, lease_until, attempts, attempts_since_checkpoint, last_checkpoint_step, dispatched_at, finished_at,
         trained_tokens)
       VALUES ($1, $2, $3, 'tiny', 7, 'file-1', '{}', '{"peft_type":"LORA"}', '{}', $4, $5, 2, $6, $7, $7, $8, now(), $9, $10)`,
      [
        ...[state, teamId, state, state === 'validating' ? null : '{"precision":"auto"}'],
        state === 'running' ? '{"step":45}' : null,
        under ? new Date(Date.now() - 60_000) : null,
        state === 'running' || state === 'paused' ? 1 : 0,
        state === 'running' || state === 'paused' ? 40 : null,
        ['succeeded', 'failed'].includes(state) ? new Date() : null,
        state === 'succeeded' ? 321 : null,
      ],
    );
  }
  for (const [job, step] of [
    ['running', 20],
    ['running', 40],
    ['paused', 40],
  ])
    await sql.query(
      `INSERT INTO checkpoints (id, team_id, job_id, step, metrics, path, bytes) VALUES ($1, $2, $3, $4, '{}', $5, 9)`,
      [`${job}-${step}`, teamId, job, step, `checkpoints/${job}/step-${String(step).padStart(8, '0')}`],
    );
  await sql.query(
    `INSERT INTO adapters (id, team_id, name, base_model) VALUES ('a1', $1, 'succeeded', 'tiny')`,
    [teamId],
  );
  await sql.query(
    `INSERT INTO adapter_versions (id, team_id, adapter_id, number, job_id, model_name, digest, bytes, files, peft, lineage)
     VALUES ('v1', $1, 'a1', 1, 'succeeded', $2, $3, 7, $4, '{}', '{}')`,
    [
      ...[teamId, modelName, digest],
      JSON.stringify([{ path: 'adapter_model.safetensors', bytes: 7, sha256: sha256('weights') }]),
    ],
  );
}

const stateOf = async (id: string) => (await getJob(services, teamId, id))!.state;

test('its files and adapters are served, verified, and not collected', async () => {
  const file = (await getFile(services, teamId, 'file-1'))!;
  assert.equal(await text(await services.files.open(file)), content);
  const version = (await findFineTunedModel(services, teamId, modelName))!;
  assert.equal(version.artifact, digest);
  const open = () => services.artifacts.open(version.artifact, 'adapter_model.safetensors');
  assert.equal(await text(await open()), 'weights');
  assert.deepEqual(await scrubObjects(services), { read: 2, damaged: 0 });
  const inTwoDays = new Date(Date.now() + 2 * 24 * 3600 * 1000);
  assert.deepEqual(await collectGarbage(services, inTwoDays), {
    files: 0,
    artifacts: 0,
    exports: 0,
    checkpoints: 0,
  });
  assert.equal(await text(await open()), 'weights');
});

test('what it had stored and counted is in the ledger', async () => {
  const { rows } = await services.sql.query(
    'SELECT kind, subject, quantity::int AS quantity FROM usage_ledger ORDER BY kind, subject',
  );
  assert.deepEqual(rows, [
    { kind: 'stored_bytes', subject: 'file-1', quantity: content.length },
    { kind: 'stored_bytes', subject: 'v1', quantity: 7 },
    { kind: 'trained_tokens', subject: 'succeeded', quantity: 321 },
  ]);
  assert.deepEqual(await checkUsage(services), []);
});

test('its jobs are read, and the newest of their checkpoints is reported', async () => {
  const { data } = await listJobs(services, teamId, { limit: 100 });
  assert.deepEqual(data.map(({ id }) => id).sort(), [...states].sort());
  const all = await listCheckpoints(services, teamId, 'running');
  assert.deepEqual(
    all.map(({ step, removedAt, digest }) => [step, removedAt === null, digest]),
    [
      [40, true, null],
      [20, false, null],
    ],
  );
  for (const { path: key } of all) checkpointFolder('/data', key);
  const kept = await listKeptCheckpoints(services, teamId, 'running');
  assert.deepEqual(
    kept.map(({ step }) => step),
    [40],
  );
  assert.deepEqual(await listAttempts(services, teamId, 'running'), []);
});

test('its jobs continue from any state', async () => {
  const swept = await sweepExpiredLeases(services, { leaseSeconds: 0 });
  assert.deepEqual(swept.map(({ id }) => id).sort(), ['running', 'validating']);
  const validated = (await claimValidation(services, { workerId: 'v', leaseSeconds: 60 }))!;
  const resolvedTraining = { precision: 'auto' } as never;
  assert.ok(await finishValidation(services, leaseOf(validated), { ok: true, resolvedTraining }));
  await resumeJob(services, teamId, 'paused', { keyId: 'key-test' });
  await services.sql.query('UPDATE jobs SET run_after = now() WHERE finished_at IS NULL');
  const leases = await dispatchJobs(services);
  assert.deepEqual(leases.map(({ id }) => id).sort(), ['paused', 'queued', 'running', 'validating']);
  const dispatched = leaseOf((await getJob(services, teamId, 'dispatched'))!);
  const capabilities = { device: 'cpu', threads: 2, precisions: ['fp32'] } as const;
  for (const lease of [...leases, dispatched]) {
    const job = await claimJob(services, lease, {
      workerId: 'w1',
      leaseSeconds: 60,
      capabilities: { ...capabilities, precisions: ['fp32'] },
    });
    assert.deepEqual(
      job!.requirements,
      { device: 'cpu', threads: 2, precision: 'fp32', kernels: 'stock' },
      lease.id,
    );
    assert.ok(await publishAdapterVersion(services, leaseOf(job!), testAdapter), lease.id);
    assert.equal(await stateOf(lease.id), 'succeeded');
  }
  assert.deepEqual(await checkUsage(services), []);
  await assert.rejects(pauseJob(services, teamId, 'failed', { keyId: 'key-test' }), {
    code: 'invalid_job_state',
  });
  const { rows } = await services.sql.query<{ message: string }>(
    `SELECT message FROM job_events WHERE job_id = 'validating' ORDER BY seq`,
  );
  assert.match(rows[0]!.message, /^Worker of an earlier version lost/);
});
