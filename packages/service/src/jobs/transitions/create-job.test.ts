import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Services } from '../../services.ts';
import { createTestTeam, newTestJob, type TestTeam } from '../../testing/job-fixtures.ts';
import { openTestServices } from '../../testing/open-test-services.ts';
import { listEvents } from '../records/read-job-history.ts';
import { getJob, listJobs } from '../records/read-jobs.ts';
import { createJob, type NewJob } from './create-job.ts';

let services: Services;
let team: TestTeam;
let other: TestTeam;
before(async () => {
  services = await openTestServices();
  team = await createTestTeam(services);
  other = await createTestTeam(services);
});
after(async () => await services.close());

test('a job begins as validating, with its event and its audit row', async () => {
  const metadata = { purpose: 'test' };
  const { job, created } = await createJob(services, team.id, newTestJob(team, { suffix: 'mine', metadata }));
  assert.ok(created);
  assert.match(job.id, /^ftjob-[0-9A-Za-z]{24}$/);
  assert.equal(job.state, 'validating');
  assert.deepEqual(
    {
      seed: job.seed,
      suffix: job.suffix,
      metadata: job.metadata,
      epoch: job.leaseEpoch,
      peft: job.peft.peft_type,
    },
    { seed: 7, suffix: 'mine', metadata, epoch: 0, peft: 'LORA' },
  );
  assert.deepEqual(await getJob(services, team.id, job.id), job);
  const events = await listEvents(services, team.id, job.id, { limit: 10 });
  assert.deepEqual(
    events.data.map((event) => event.message),
    [`Created fine-tuning job: ${job.id}`],
  );
  const audit = await services.db.auditEntry.findMany({
    where: { teamId: team.id, target: job.id },
    orderBy: { id: 'asc' },
  });
  assert.deepEqual(
    audit.map(({ action, keyId }) => [action, keyId]),
    [['job.create', team.keyId]],
  );
});

test('without a seed, one is drawn from the range of the wire format', async () => {
  const { job } = await createJob(services, team.id, newTestJob(team, { seed: null }));
  assert.ok(job.seed >= 0 && job.seed < 2 ** 31);
});

test("another team's file is as unknown as one that never was, and leaves no row", async () => {
  const before = await listJobs(services, team.id, { limit: 100 });
  for (const id of [other.fileId, 'file-nope']) {
    const expected = { code: 'file_not_found', message: `No such file: ${id}`, fault: 'user' };
    const training = newTestJob(team, { trainingFileId: id, idempotencyKey: 'never-kept' });
    await assert.rejects(createJob(services, team.id, training), { ...expected, param: 'training_file' });
    const validation = newTestJob(team, { validationFileId: id });
    await assert.rejects(createJob(services, team.id, validation), { ...expected, param: 'validation_file' });
  }
  assert.deepEqual(await listJobs(services, team.id, { limit: 100 }), before);
  assert.equal(await services.db.idempotencyKey.count({ where: { key: 'never-kept' } }), 0);
});

test('one idempotency key makes one job, also when both requests come at once', async () => {
  const input = newTestJob(team, { idempotencyKey: 'key-1' });
  const answers = await Promise.all([1, 2, 3, 4].map(() => createJob(services, team.id, input)));
  assert.equal(new Set(answers.map(({ job }) => job.id)).size, 1);
  assert.equal(answers.filter(({ created }) => created).length, 1);
  // Idempotency keys are separate for each team.
  const foreign = newTestJob(other, { idempotencyKey: 'key-1', requestHash: input.requestHash });
  assert.ok((await createJob(services, other.id, foreign)).created);
  await assert.rejects(createJob(services, team.id, { ...input, requestHash: 'another body' }), {
    code: 'idempotency_key_reused',
  });
});

/** A request of a signed-in person, without a key. */
const bySession = (personId: string, changes: Partial<NewJob> = {}) =>
  newTestJob(team, { keyId: null, personId, ...changes } as Partial<NewJob>);

test('of two people without keys, and of two keys, each has their own Idempotency-Key', async () => {
  const same = { idempotencyKey: 'mine', requestHash: 'the same body' };
  const requests = [
    bySession('user-ada', same),
    bySession('user-bob', same),
    newTestJob(team, { ...same, keyId: 'key-a', personId: 'user-ada' }),
    newTestJob(team, { ...same, keyId: 'key-b', personId: 'user-ada' }),
  ];
  const made = await Promise.all(requests.map((input) => createJob(services, team.id, input)));
  assert.deepEqual(
    made.map(({ created, job }) => [created, job.keyId, job.personId]),
    [
      [true, null, 'user-ada'],
      [true, null, 'user-bob'],
      [true, 'key-a', 'user-ada'],
      [true, 'key-b', 'user-ada'],
    ],
  );
  const again = await Promise.all(requests.map((input) => createJob(services, team.id, input)));
  assert.deepEqual(
    again.map(({ created, job }) => [created, job.id]),
    made.map(({ job }) => [false, job.id]),
  );
  // Another body is an error only for the requester who used the key before.
  const other = bySession('user-ada', { ...same, requestHash: 'another body' });
  await assert.rejects(createJob(services, team.id, other), { code: 'idempotency_key_reused' });
  assert.ok((await createJob(services, team.id, bySession('user-eve', { ...same }))).created);
});

test('a retry of one person without a key is not the job of another', async () => {
  const ada = bySession('user-ada', { isRetry: true, requestHash: 'a body' });
  const bob = bySession('user-bob', { isRetry: true, requestHash: 'a body' });
  const [first, second] = await Promise.all([ada, bob].map((input) => createJob(services, team.id, input)));
  assert.deepEqual([first!.created, second!.created], [true, true]);
  const again = await createJob(services, team.id, bob);
  assert.deepEqual([again.created, again.job.id], [false, second!.job.id]);
});

test('a repeated request without an idempotency key answers the job it made, for two minutes', async () => {
  const input = newTestJob(team);
  const first = await createJob(services, team.id, input);
  const retry = await createJob(services, team.id, { ...input, isRetry: true });
  assert.deepEqual([retry.created, retry.job.id], [false, first.job.id]);
  const deliberate = await createJob(services, team.id, input);
  assert.ok(deliberate.created, 'the same request, not marked as a retry, is another job');
  await services.sql.query(
    "UPDATE jobs SET created_at = now() - interval '3 minutes' WHERE request_hash = $1",
    [input.requestHash],
  );
  const late = await createJob(services, team.id, { ...input, isRetry: true });
  assert.ok(late.created);
});
