import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { claimJob, returnJob } from '@graft/service/jobs';
import { type ApiBench, chatLine, openApiBench } from '../../testing/open-api-bench.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench();
});
after(async () => await bench?.close());

async function createJob(): Promise<string> {
  const training_file = await bench.acme.upload(chatLine);
  const answer = await bench.acme.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file });
  await bench.untilState(answer.json.id, 'queued');
  return answer.json.id;
}

/** Dispatches and claims a job, as `dispatchJobs` and a worker do. */
async function claim(id: string, workerId: string): Promise<void> {
  const { rows } = await bench.services.sql.query(
    `UPDATE jobs SET state = 'dispatched', lease_epoch = lease_epoch + 1, dispatched_at = now()
     WHERE id = $1 AND state = 'queued' RETURNING id, lease_epoch AS epoch`,
    [id],
  );
  assert.ok(await claimJob(bench.services, rows[0], { workerId, leaseSeconds: 60 }));
}

const attemptsOf = async (id: string, query = '', caller = bench.acme) =>
  await caller.send('GET', `/v1/fine_tuning/jobs/${id}/attempts${query}`);

test('who had the job, from when to when, and what happens next; page by page', async () => {
  const id = await createJob();
  const waiting = await attemptsOf(id);
  assert.deepEqual(
    waiting.json.data.map(({ kind, outcome }: { kind: string; outcome: string }) => [kind, outcome]),
    [['validation', 'succeeded']],
  );
  assert.deepEqual(waiting.json.outlook, {
    run_after: null,
    avoids_worker: null,
    quarantined_workers: [],
    attempts_left: 3,
    requirements: null,
    has_worker: false,
  });

  await claim(id, 'worker-1');
  const { json } = await attemptsOf(id);
  const [, running] = json.data;
  assert.deepEqual(
    [running.kind, running.worker, running.from_step, running.ended_at, running.outcome],
    ['training', 'worker-1', 0, null, null],
  );
  assert.ok(Math.abs(running.started_at - Date.now() / 1000) < 60);
  assert.equal(json.outlook.attempts_left, 3);
  const onGpu = { precision: 'bf16', threads: 8, device: 'gpu', gpu: 'NVIDIA L4', microBatch: 2 } as const;
  await bench.services.db.job.update({ where: { id }, data: { requirements: onGpu } });
  assert.deepEqual((await attemptsOf(id)).json.outlook.requirements, {
    precision: 'bf16',
    threads: 8,
    device: 'gpu',
    kernels: 'stock',
    gpu: 'NVIDIA L4',
    micro_batch: 2,
  });
  // The format of earlier versions.
  const { gpu: _, microBatch: __, ...earlier } = onGpu;
  await bench.services.db.job.update({ where: { id }, data: { requirements: earlier } });
  assert.deepEqual((await attemptsOf(id)).json.outlook.requirements, {
    precision: 'bf16',
    threads: 8,
    device: 'gpu',
    kernels: 'stock',
    gpu: null,
    micro_batch: null,
  });

  const first = await attemptsOf(id, '?limit=1');
  assert.deepEqual([first.json.data.length, first.json.has_more], [1, true]);
  const second = await attemptsOf(id, `?limit=1&after=${first.json.last_id}`);
  assert.deepEqual([second.json.data[0].id, second.json.has_more], [running.id, false]);
  assert.equal((await attemptsOf(id, '?after=x')).status, 400);
});

test("another team's job answers like an unknown one; a job that is over has no outlook", async () => {
  const id = await createJob();
  const foreign = await attemptsOf(id, '', bench.other);
  const unknown = await attemptsOf('ftjob-unknown', '', bench.other);
  assert.deepEqual([foreign.status, unknown.status], [404, 404]);
  assert.equal(foreign.json.error.code, 'job_not_found');
  await bench.acme.send('POST', `/v1/fine_tuning/jobs/${id}/cancel`);
  assert.equal((await attemptsOf(id)).json.outlook, null);
});

test('a job that waits after a fault of a machine says until when, and which worker it avoids', async () => {
  const id = await createJob();
  await claim(id, 'worker-2');
  await bench.services.sql.query(
    `INSERT INTO workers (id, hostname, pid, slots, quarantined_at, quarantine_reason)
     VALUES ('worker-2', 'h', 1, 1, now(), 'Its disk is full.')`,
  );
  const { rows } = await bench.services.sql.query(
    'SELECT id, lease_epoch AS epoch, lease_token AS token FROM jobs WHERE id = $1',
    [id],
  );
  assert.ok(await returnJob(bench.services, rows[0], { workerId: 'worker-2', reason: 'Its disk is full.' }));
  const { json } = await attemptsOf(id);
  const last = json.data.at(-1);
  assert.deepEqual([last.outcome, last.reason], ['environment', 'Its disk is full.']);
  assert.equal(json.outlook.avoids_worker, 'worker-2');
  assert.deepEqual(json.outlook.quarantined_workers, ['worker-2']);
  assert.ok(json.outlook.run_after > Date.now() / 1000 + 20, json.outlook.run_after);
});
