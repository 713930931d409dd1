import assert from 'node:assert/strict';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import {
  findCheckpointModel,
  getCheckpointAdapter,
  promoteCheckpoint,
} from '../../adapters/checkpoint-adapters.ts';
import { deleteFineTunedModel, restoreVersion } from '../../adapters/delete-adapters.ts';
import { dataFolder } from '../../data-folder/data-folder.ts';
import { collectGarbage } from '../../maintenance/collect-garbage.ts';
import { scrubObjects } from '../../maintenance/job-loops.ts';
import type { Services } from '../../services.ts';
import { createTestJob, createTestTeam, type TestTeam, testAdapter } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { type Job, leaseOf, type TrainingEnd } from '../job.ts';
import { listJobCheckpoints } from '../records/list-job-checkpoints.ts';
import { listEvents } from '../records/read-job-history.ts';
import { getJob } from '../records/read-jobs.ts';
import { publishAdapterVersion } from '../transitions/publish-adapter-version.ts';
import { recordCheckpoint } from './record-checkpoint.ts';
import { findCheckpointAdapter, recordCheckpointAdapter } from './record-checkpoint-adapter.ts';

let services: Services;
let team: TestTeam;
let other: TestTeam;
before(async () => {
  services = await openTestServices();
  team = await createTestTeam(services);
  other = await createTestTeam(services);
});
after(async () => await services?.close());

async function store(content: string) {
  const folder = await services.artifacts.stage('ftjob-any', 1);
  await writeFile(path.join(folder, 'adapter_config.json'), content);
  return await services.artifacts.publish(folder);
}
const running = async (suffix: string) => await createTestJob(services, team, 'running', { suffix });
async function record(job: Job, step: number, bestStep: number | null = null, lease = leaseOf(job)) {
  const stored = await store(`step ${step}`);
  const made = { ...stored, step, bestStep, lineage: testAdapter.lineage, metrics: { trainLoss: 1 / step } };
  return { stored, unnamed: await recordCheckpointAdapter(services, lease, made) };
}
const stepsOf = async ({ id }: Job, teamId = team.id) =>
  (await listJobCheckpoints(services, teamId, id, { limit: 100 })).data.map(({ step }) => step);
const nameOf = (job: Job, step: number) =>
  `ft:${job.model}:${team.name}:${job.suffix}:${job.id.slice(-8)}:ckpt-step-${step}`;
const tomorrow = () => new Date(Date.now() + 24 * 3600 * 1000 + 60_000);
const by = { keyId: 'key-test' };

test('the three newest are kept, and the best however old; dropped ones are reported and collected', async () => {
  const job = await running('kept');
  const made = new Map<number, string>();
  const gone: string[] = [];
  for (const step of [2, 4, 6, 8, 10, 12]) {
    const { stored, unnamed } = await record(job, step, step < 4 ? 2 : 4);
    made.set(step, stored.artifact);
    gone.push(...unnamed!);
  }
  assert.deepEqual(await stepsOf(job), [12, 10, 8, 4]);
  assert.deepEqual(gone, [made.get(2), made.get(6)]);
  const { data } = await listJobCheckpoints(services, team.id, job.id, { limit: 100 });
  assert.deepEqual(
    data.map(({ adapter }) => adapter!.isBest),
    [false, false, false, true],
  );
  await collectGarbage(services, tomorrow());
  for (const [step, artifact] of made) {
    const isThere = await services.artifacts.localFolder(artifact).then(
      () => true,
      () => false,
    );
    assert.equal(isThere, step !== 2 && step !== 6, `step ${step}`);
  }
});

test('who has lost the lease publishes none, and another team sees none', async () => {
  const job = await running('fenced');
  await record(job, 1);
  const lease = leaseOf(job);
  assert.equal((await record(job, 2, null, { ...lease, epoch: lease.epoch - 1 })).unnamed, null);
  assert.deepEqual(await stepsOf(job), [1]);
  assert.deepEqual(await stepsOf(job, other.id), []);
  assert.ok(await findCheckpointModel(services, team.id, nameOf(job, 1)));
  assert.equal(await findCheckpointModel(services, other.id, nameOf(job, 1)), null);
  const { data } = await listJobCheckpoints(services, team.id, job.id, { limit: 1 });
  const of = { jobId: job.id, id: data[0]!.id };
  assert.equal((await getCheckpointAdapter(services, team.id, of))!.step, 1);
  assert.equal(await getCheckpointAdapter(services, other.id, of), null);
});

test('a step is one checkpoint: the same files are known, and other files replace them', async () => {
  const job = await running('again');
  const { stored } = await record(job, 3);
  const known = await findCheckpointAdapter(services, job, 3, [...stored.files].reverse());
  assert.equal(known!.artifact, stored.artifact);
  assert.equal(await findCheckpointAdapter(services, job, 3, []), null);
  assert.equal(await findCheckpointAdapter(services, { ...job, teamId: other.id }, 3, stored.files), null);
  // No row may start to refer to an object of this age, but this row already does.
  const { artifact } = stored;
  const old = artifact.replace(/[0-9a-f]{8}$/, (at) => (Number.parseInt(at, 16) - 13 * 3600).toString(16));
  const folders = dataFolder(services.env.dataDir);
  await rename(folders.artifact(artifact), folders.artifact(old));
  const trigger = 'TRIGGER checkpoint_adapters_refuse_old_object';
  await services.sql.query(`ALTER TABLE checkpoint_adapters DISABLE ${trigger}`);
  await services.db.checkpointAdapter.updateMany({ where: { jobId: job.id }, data: { artifact: old } });
  await services.sql.query(`ALTER TABLE checkpoint_adapters ENABLE ${trigger}`);
  const made = { ...stored, step: 3, bestStep: 3, lineage: {}, metrics: {} };
  assert.deepEqual(await recordCheckpointAdapter(services, leaseOf(job), { ...made, artifact: old }), []);
  await assert.rejects(
    recordCheckpointAdapter(services, leaseOf(job), { ...made, step: 4, artifact: old }),
    /stored too long ago/,
  );
  const { stored: fresh, unnamed } = await record(job, 3);
  assert.deepEqual(unnamed, [old]);
  assert.equal((await findCheckpointModel(services, team.id, nameOf(job, 3)))!.artifact, fresh.artifact);
});

test('the list has a step once, whether training resumes from it, its adapter is kept, or both', async () => {
  const job = await running('list');
  for (const step of [2, 4])
    await recordCheckpoint(services, leaseOf(job), {
      step,
      path: `checkpoints/${job.id}/1/${step}`,
      bytes: 9,
      digest: 'a'.repeat(64),
      seconds: 1,
      metrics: {},
      series: [],
    });
  for (const step of [3, 4, 5]) await record(job, step);
  const read = async (limit: number) => {
    const found: unknown[] = [];
    for (let after: string | undefined; ; ) {
      const page = await listJobCheckpoints(services, team.id, job.id, { limit, after });
      found.push(...page.data.map(({ step, state, adapter }) => [step, state !== null, adapter !== null]));
      if (!page.hasMore) return found;
      after = page.data.at(-1)!.id;
    }
  };
  const all = [
    [5, false, true],
    [4, true, true],
    [3, false, true],
    [2, true, false],
  ];
  for (const limit of [1, 2, 3, 4, 10]) assert.deepEqual(await read(limit), all);
  await assert.rejects(listJobCheckpoints(services, team.id, job.id, { limit: 1, after: 'ftckpt_none' }), {
    code: 'invalid_cursor',
  });
  const elsewhere = await running('list-2');
  const { data } = await listJobCheckpoints(services, team.id, job.id, { limit: 1 });
  await assert.rejects(
    listJobCheckpoints(services, team.id, elsewhere.id, { limit: 1, after: data[0]!.id }),
    { code: 'invalid_cursor' },
  );
});

const end: TrainingEnd = {
  reason: 'early_stopping',
  step: 8,
  totalSteps: 20,
  publishedStep: 4,
  evaluationsWithoutGain: 2,
  best: { step: 4, metric: 'eval_loss', value: 0.5 },
};

/** Returns the bytes in the ledger for the checkpoint adapters that this job keeps. */
async function meteredOf(job: Job): Promise<number> {
  const { rows } = await services.sql.query(
    "SELECT coalesce(sum(quantity), 0)::int AS bytes FROM usage_ledger WHERE job_id = $1 AND model LIKE '%:ckpt-step-%'",
    [job.id],
  );
  return rows[0].bytes;
}

test('they stay when the job is over, hide and come back with its model, and go with it', async () => {
  const job = await running('over');
  for (const step of [4, 6, 10]) await record(job, step, 4);
  const stored = await store('the model');
  const published = await publishAdapterVersion(services, leaseOf(job), {
    ...testAdapter,
    ...stored,
    trainingEnd: end,
  });
  // A lost attempt made step 10, and got further than training did in the end.
  assert.deepEqual(await stepsOf(job), [6, 4]);
  const kept = await services.db.checkpointAdapter.aggregate({
    where: { jobId: job.id },
    _sum: { bytes: true },
  });
  assert.equal(await meteredOf(job), Number(kept._sum.bytes));
  assert.deepEqual((await getJob(services, team.id, job.id))!.trainingEnd, end);
  const { data: events } = await listEvents(services, team.id, job.id, { limit: 5 });
  assert.deepEqual(events.map(({ message }) => message).slice(2, 4), [
    'The adapter of step 4 is published, whose eval_loss is the best',
    'Stopped early at step 8 of 20: eval_loss was no better in 2 evaluations; the best, 0.5000, was that of step 4',
  ]);

  const { adapterId, number, modelName } = published!.version;
  await deleteFineTunedModel(services, team.id, modelName, by);
  assert.deepEqual(await stepsOf(job), []);
  assert.equal(await findCheckpointModel(services, team.id, nameOf(job, 4)), null);
  await restoreVersion(services, team.id, { adapterId, number }, by);
  const checkpoint = (await findCheckpointModel(services, team.id, nameOf(job, 4)))!;
  const promote = { name: 'kept-of-it', note: null, stored: await store('step 4') };
  const version = await promoteCheckpoint(services, checkpoint, promote, by);
  assert.equal((await promoteCheckpoint(services, checkpoint, promote, by)).id, version.id, 'once');
  assert.deepEqual(version.lineage.checkpoint, { id: checkpoint.id, step: 4 });
  assert.deepEqual([version.number, version.jobId], [1, null]);

  await deleteFineTunedModel(services, team.id, modelName, by);
  const later = new Date(Date.now() + 31 * 24 * 3600 * 1000);
  await collectGarbage(services, later);
  assert.equal(await services.db.checkpointAdapter.count({ where: { jobId: job.id } }), 0);
  assert.equal(await meteredOf(job), 0);
  await assert.rejects(services.artifacts.localFolder(checkpoint.artifact), { code: 'artifact_missing' });
  await services.artifacts.localFolder(version.artifact);
});

test('their bytes are read through like all others', async () => {
  const job = await running('scrubbed');
  const { stored } = await record(job, 1);
  const folder = dataFolder(services.env.dataDir).artifact(stored.artifact);
  await writeFile(path.join(folder, 'adapter_config.json'), 'x');
  await scrubObjects(services, { bytesPerSecond: 2 ** 30, passMs: 60_000, againMs: 1e9 });
  assert.ok((await findCheckpointModel(services, team.id, nameOf(job, 1)))!.corruptAt);
  const [event] = (await listEvents(services, team.id, job.id, { limit: 1 })).data;
  assert.match(event!.message, /ckpt-step-1 are damaged \(artifact_corrupt\)/);
});
