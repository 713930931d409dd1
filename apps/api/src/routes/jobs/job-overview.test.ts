/** Tests of pages with many jobs: curves in one response, changes in one stream, the creator of a job, and search. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { leaseOf, recordMetrics, recordProgress } from '@graft/service/jobs';
import { createApiKey } from '@graft/service/keys';
import { createPerson, putMember } from '@graft/service/people';
import type { WireJob } from '../../jobs/job-writer.ts';
import { assertError } from '../../testing/assert-error.ts';
import { type ApiBench, type Caller, chatLine, openApiBench } from '../../testing/open-api-bench.ts';
import { runJob } from '../../testing/run-job.ts';

const path = '/v1/fine_tuning/jobs';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench();
});
after(async () => await bench?.close());

async function create(team: Caller, more: object = {}): Promise<string> {
  const training_file = await team.upload(chatLine);
  const { json, text } = await team.send('POST', path, { model: 'tiny', training_file, ...more });
  assert.ok(json.id, text);
  return json.id;
}

const idsOf = async (team: Caller, query: string): Promise<string[]> =>
  (await team.send('GET', `${path}?${query}`)).json.data.map(({ id }: { id: string }) => id);

test('of a long series a few losses are read, its first and its last, and of another team’s none', async () => {
  const job = await runJob(bench, await create(bench.acme));
  const empty = await create(bench.acme);
  const metric = { epoch: 1, tokens: 1, metrics: {} };
  const steps = Array.from({ length: 1000 }, (_, i) => i + 1);
  await recordMetrics(
    bench.services,
    leaseOf(job),
    steps.map((step) => ({ kind: 'train', step, loss: 1 / step, ...metric })),
  );
  const curves = async (team: Caller, query: string) =>
    (await team.send('GET', `${path}/losses?ids=${job.id},${empty}${query}`)).json.data;
  const [curve, ...others] = await curves(bench.acme, '&points=5');
  assert.deepEqual(others, [], 'one that has none is left out');
  assert.deepEqual([curve.fine_tuning_job_id, curve.steps], [job.id, [1, 250, 500, 750, 1000]]);
  assert.deepEqual(
    curve.losses,
    curve.steps.map((step: number) => 1 / step),
  );
  assert.equal((await curves(bench.acme, ''))[0].steps.length, 32);
  const theirs = await bench.other.send('GET', `${path}/losses?ids=${job.id}`);
  assertError(theirs, 404, 'job_not_found', 'ids');
  for (const query of ['', 'ids=', `ids=${'x,'.repeat(101)}x`, 'ids=a&points=1', 'ids=a&points=101']) {
    assertError(
      await bench.acme.send('GET', `${path}/losses?${query}`),
      400,
      query ? 'invalid_value' : 'missing_required_parameter',
    );
  }
});

test('a stream sends the active jobs, then each that is created or changes, and none of another team', async () => {
  const before = await create(bench.acme);
  const job = await runJob(bench, before);
  const hangUp = new AbortController();
  const response = await fetch(`${bench.url}${path}/changes`, {
    headers: { authorization: `Bearer ${bench.acme.key}` },
    signal: hangUp.signal,
  });
  assert.equal(response.headers.get('content-type'), 'text/event-stream');
  const received: WireJob[] = [];
  const reading = (async () => {
    let text = '';
    for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
      const parts = (text + chunk).split('\n\n');
      text = parts.pop()!;
      for (const part of parts)
        if (!part.startsWith(':')) received.push(JSON.parse(part.split('\ndata: ')[1]!));
    }
  })().catch(() => {});
  const until = async (fits: (job: WireJob) => boolean, what: string) => {
    const end = performance.now() + 20_000;
    while (!received.some(fits)) {
      assert.ok(performance.now() < end, `${what}: ${JSON.stringify(received)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  await until(({ id, status }) => id === job.id && status === 'running', 'one that runs');
  const lease = leaseOf(job);
  const progress = {
    step: 7,
    totalSteps: 10,
    epoch: 1,
    tokens: 1,
    tokensPerSecond: 1,
    secondsRemaining: 3,
    loss: 0.5,
  };
  await recordProgress(bench.services, lease, progress);
  await until(({ id, progress: at }) => id === job.id && at?.step === 7 && at.loss === 0.5, 'progress');
  const theirs = await create(bench.other);
  const made = await create(bench.acme);
  await until(({ id, status }) => id === made && status === 'queued', 'a new one');
  await bench.acme.send('POST', `${path}/${made}/cancel`);
  await until(({ id, status }) => id === made && status === 'cancelled', 'its end');
  const count = received.length;
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(received.length, count, 'nothing is sent twice');
  assert.ok(!received.some(({ id }) => id === theirs));
  hangUp.abort();
  await reading;
  const { key } = await createApiKey(bench.services, bench.acme.teamId, {
    name: 'x',
    role: 'viewer',
    scopes: ['files:read'],
  });
  assertError(await bench.withKey(bench.acme, key).send('GET', `${path}/changes`), 403, 'insufficient_scope');
});

test('a job names its creator: the person of the key, otherwise the key', async () => {
  const person = await createPerson(bench.services, { email: 'ada@example.com', name: 'Ada' });
  await putMember(bench.services, bench.acme.teamId, person.id, 'member');
  const { key } = await createApiKey(bench.services, bench.acme.teamId, {
    name: 'a',
    role: 'member',
    personId: person.id,
  });
  const ada = bench.withKey(bench.acme, key);
  const [hers, bots] = [await create(ada), await create(bench.acme)];
  const ownerOf = async (id: string) => (await bench.acme.send('GET', `${path}/${id}`)).json.created_by;
  assert.equal(await ownerOf(hers), person.id);
  assert.equal(await ownerOf(bots), bench.acme.key.split('_')[1]);
  assert.deepEqual(await idsOf(bench.acme, `created_by=${person.id}`), [hers]);
  assert.ok((await idsOf(bench.acme, `created_by=${await ownerOf(bots)}`)).includes(bots));
  assert.deepEqual(await idsOf(bench.other, `created_by=${person.id}`), []);
});

test('jobs are found by a part of their name, id or model, in any case', async () => {
  const id = await create(bench.acme, { suffix: 'Support-Tone' });
  assert.deepEqual(await idsOf(bench.acme, 'search=port-tone'), [id]);
  assert.deepEqual(await idsOf(bench.acme, `search=${id.slice(8).toUpperCase()}`), [id]);
  assert.deepEqual(await idsOf(bench.acme, 'search=port-tone&status=failed'), []);
  assert.deepEqual(await idsOf(bench.acme, 'search=%25nothing_'), []);
  assert.ok((await idsOf(bench.acme, 'search=TINY')).length > 1);
  assert.deepEqual(await idsOf(bench.other, 'search=port-tone'), []);
});

test('the request of a job makes the same job again', async () => {
  const asked = { suffix: 'again', seed: 7, training: { learning_rate: 1e-3 }, metadata: { a: 'b' } };
  const id = await create(bench.acme, asked);
  const { json: request } = await bench.acme.send('GET', `${path}/${id}/request`);
  assert.deepEqual(
    [request.suffix, request.seed, request.training, request.metadata],
    ['again', 7, asked.training, asked.metadata],
  );
  assert.ok(!Object.values(request).includes(null));
  const { json: again } = await bench.acme.send('POST', path, request);
  const { json: first } = await bench.acme.send('GET', `${path}/${id}`);
  assert.deepEqual([again.peft, again.seed, again.suffix], [first.peft, first.seed, first.suffix]);
});
