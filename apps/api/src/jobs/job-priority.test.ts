import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertError } from '../testing/assert-error.ts';
import { type JobRequests, jobRequests, jobsPath as path } from '../testing/job-requests.ts';
import { type ApiBench, chatLine, openApiBench } from '../testing/open-api-bench.ts';

let bench: ApiBench;
let create: JobRequests['create'];
let refuses: JobRequests['refuses'];
before(async () => {
  bench = await openApiBench();
  ({ create, refuses } = jobRequests(bench, await bench.acme.upload(`${chatLine}\n`.repeat(3))));
});
after(async () => await bench?.close());

test('a job of high priority is before the others of its team, and another priority moves it', async () => {
  const ids: string[] = [];
  for (const more of [{}, { priority: null }, { priority: 'high' }, { priority: 'low' }]) {
    const { status, text, json } = await create(more);
    assert.equal(status, 200, text);
    ids.push(json.id);
    await bench.untilState(json.id, 'queued');
  }
  const order = async () => {
    // Positions are cached for a second.
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const { data } = (await bench.acme.send('GET', path)).json;
    const placed = data.toSorted(
      (a: { queue_position: number }, b: { queue_position: number }) => a.queue_position - b.queue_position,
    );
    return placed.map((job: { id: string; priority: string }) => [ids.indexOf(job.id), job.priority]);
  };
  assert.deepEqual(await order(), [
    [2, 'high'],
    [0, 'normal'],
    [1, 'normal'],
    [3, 'low'],
  ]);
  const changed = await bench.acme.send('POST', `${path}/${ids[3]}`, { priority: 'high' });
  assert.deepEqual([changed.status, changed.json.priority], [200, 'high'], changed.text);
  assert.equal(changed.json.estimated_start, null, 'nothing has run yet');
  assert.deepEqual(
    (await order()).map(([index]: [number]) => index),
    [2, 3, 0, 1],
  );
  const audit = await bench.services.db.auditEntry.findMany({
    where: { target: ids[3]!, action: 'job.priority' },
  });
  assert.deepEqual(
    audit.map(({ teamId, keyId, detail }) => [teamId, keyId, detail]),
    [[bench.acme.teamId, bench.acme.key.split('_')[1], { priority: 'high' }]],
  );
});

test('what is no priority, of another team, over or not allowed is refused', async () => {
  await refuses({ priority: 'urgent' }, 'invalid_value', 'priority');
  await refuses({ priority: 1 }, 'invalid_value', 'priority');
  const { id } = (await create()).json;
  const one = `${path}/${id}`;
  assertError(await bench.acme.send('POST', one, { priority: 'top' }), 400, 'invalid_value', 'priority');
  assertError(await bench.acme.send('POST', one, {}), 400, 'missing_required_parameter', 'priority');
  const theirs = await bench.other.send('POST', one, { priority: 'high' });
  const unknown = await bench.acme.send('POST', `${path}/ftjob-none`, { priority: 'high' });
  assertError(theirs, 404, 'job_not_found');
  assertError(unknown, 404, 'job_not_found');
  const viewer = await bench.caller(bench.acme, 'viewer');
  assertError(await viewer.send('POST', one, { priority: 'high' }), 403, 'insufficient_role');
  const reader = await bench.caller(bench.acme, 'member', { scopes: ['jobs:read'] });
  assertError(await reader.send('POST', one, { priority: 'high' }), 403, 'insufficient_scope');
  assert.equal((await bench.acme.send('GET', one)).json.priority, 'normal');
  await bench.acme.send('POST', `${one}/cancel`);
  assertError(await bench.acme.send('POST', one, { priority: 'high' }), 400, 'invalid_job_state');
});
