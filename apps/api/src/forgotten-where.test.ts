/** Removes every filter by team from the API's statements, to check that row-level security alone gives the same responses. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { leaseOf, recordMetrics } from '@graft/service/jobs';
import { type ApiBench, chatLine, openApiBench } from './testing/open-api-bench.ts';
import { publishAdapter } from './testing/publish-adapter.ts';
import { runJob } from './testing/run-job.ts';

let bench: ApiBench;
/** Objects of the team `other`. */
const theirs = { file: '', job: '', running: '', adapter: '', model: '' };
/** Statements whose filter was removed. */
let forgotten: string[] = [];

before(async () => {
  bench = await openApiBench({ validationSweepMs: 3_600_000 });
  const { version } = await publishAdapter(bench, bench.other, 'secret');
  theirs.file = await bench.other.upload(chatLine);
  const created = await bench.other.send('POST', '/v1/fine_tuning/jobs', {
    model: 'tiny',
    training_file: theirs.file,
  });
  theirs.running = created.json.id;
  const running = await runJob(bench, theirs.running);
  const metric = { epoch: 1, loss: 1, tokens: 1, metrics: { grad_norm: 1 } };
  await recordMetrics(bench.services, leaseOf(running), [{ kind: 'train', step: 1, ...metric }]);
  Object.assign(theirs, { job: version.jobId, adapter: version.adapterId, model: version.modelName });

  // Applies to present and future clients of the pool.
  const seen = new WeakSet<object>();
  bench.app.services.sql.on('acquire', (client) => {
    if (seen.has(client)) return;
    seen.add(client);
    const { query } = client;
    // biome-ignore lint/suspicious/noExplicitAny: pg's overloads
    client.query = ((first: any, ...rest: unknown[]) => {
      const text: string = first?.text ?? first;
      const lax = text.replace(
        /(?:"public"\."\w+"\.|\b\w+\.)?"?team_id"? = (?:\("public"\."\w+"\."team_id"\)|(\$\d+))/g,
        (_whole, value?: string) => (value ? `${value}::text IS NOT NULL` : 'true'),
      );
      if (lax !== text) forgotten.push(lax);
      const changed = typeof first === 'string' ? lax : { ...first, text: lax };
      return (query as (...all: unknown[]) => unknown).call(client, lax === text ? first : changed, ...rest);
    }) as typeof client.query;
  });
});
after(async () => await bench?.close());

async function rowsOf(team: string): Promise<unknown[]> {
  const tables = ['files', 'jobs', 'adapters', 'adapter_versions', 'job_events', 'job_metrics', 'outbox'];
  return await Promise.all(
    tables.map(async (table) => {
      const select = `SELECT * FROM ${table} WHERE team_id = $1 ORDER BY 1, 2, 3, 4`;
      const { rows } = await bench.services.sql.query(select, [team]);
      // The outbox's loop sets delivered_at meanwhile.
      return rows.map(({ delivered_at: _, ...row }) => row);
    }),
  );
}

test('what is another team’s stays unknown, unread and unchanged', async () => {
  const { acme, other } = bench;
  const before = await rowsOf(other.teamId);
  const model = encodeURIComponent(theirs.model);
  const job = `/v1/fine_tuning/jobs/${theirs.job}`;
  const running = `/v1/fine_tuning/jobs/${theirs.running}`;
  const asked: [string, string, object?][] = [
    ['GET', `/v1/files/${theirs.file}`],
    ['GET', `/v1/files/${theirs.file}/content`],
    ['DELETE', `/v1/files/${theirs.file}`],
    ['GET', job],
    ['GET', `${job}/events`],
    ['GET', `${job}/checkpoints`],
    ['GET', `${running}/metrics`],
    ['GET', `${running}/attempts`],
    ['POST', `${running}/cancel`],
    ['POST', `${running}/pause`],
    ['POST', `${running}/resume`],
    ['GET', `/v1/adapters/${theirs.adapter}`],
    ['GET', `/v1/adapters/${theirs.adapter}/versions`],
    ['GET', `/v1/models/${model}`],
    ['DELETE', `/v1/models/${model}`],
    ['POST', '/v1/completions', { model: theirs.model, prompt: 'x' }],
    ['POST', '/v1/embeddings', { model: theirs.model, input: 'x' }],
    ['POST', '/v1/classify', { model: theirs.model, input: 'x' }],
  ];
  for (const [method, path, body] of asked) {
    forgotten = [];
    const answer = await acme.send(method, path, body);
    assert.equal(answer.status, 404, `${method} ${path}: ${answer.text}`);
    assert.ok(!answer.text.includes(other.teamId));
    assert.notEqual(forgotten.length, 0, `${method} ${path} asked with a filter that was not found`);
  }
  const create = { model: 'tiny', training_file: theirs.file };
  const refused = await acme.send('POST', '/v1/fine_tuning/jobs', create);
  assert.deepEqual([refused.status, refused.json.error.code], [400, 'file_not_found']);

  assert.deepEqual(await rowsOf(other.teamId), before);
  assert.equal((await other.send('GET', job)).status, 200);
});

test('lists hold the caller’s own', async () => {
  const { acme, other } = bench;
  const file = await acme.upload(chatLine);
  const created = await acme.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file: file });
  assert.equal(created.status, 200);
  const own: Record<string, string[]> = {
    '/v1/files': [file],
    '/v1/fine_tuning/jobs': [created.json.id],
    '/v1/adapters': [],
    '/v1/models': [],
  };
  for (const [path, ids] of Object.entries(own)) {
    const list = await acme.send('GET', path);
    assert.deepEqual(
      list.json.data
        .map(({ id }: { id: string }) => id)
        .filter((id: string) => path !== '/v1/models' || id.startsWith('ft:')),
      ids,
      path,
    );
  }
  const theirFiles = await other.send('GET', '/v1/files');
  assert.ok(theirFiles.json.data.some(({ id }: { id: string }) => id === theirs.file));
});

test('without the fence the same statements would reveal rows', async () => {
  forgotten = [];
  await bench.acme.send('GET', `/v1/fine_tuning/jobs/${theirs.job}`);
  const lax = forgotten.find((text) => text.startsWith('SELECT * FROM jobs'))!;
  const { rows } = await bench.services.sql.query(lax, [bench.acme.teamId, theirs.job]);
  assert.deepEqual(
    rows.map(({ team_id }) => team_id),
    [bench.other.teamId],
  );
});
