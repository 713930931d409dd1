import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ApiBench, answerOf, openApiBench } from '../testing/open-api-bench.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench({}, { GRAFT_METRICS_LOOPBACK: 'true' });
});
after(async () => await bench?.close());

const get = async (path: string, headers: Record<string, string> = {}) =>
  await answerOf(await fetch(bench.url + path, { headers }));

/** Label sets of the request histogram, without its buckets. */
async function seriesOf(): Promise<string[]> {
  const { text } = await get('/metrics');
  return [...text.matchAll(/^graft_http_request_duration_seconds_count(\{.*\}) /gm)].map(
    ([, labels]) => labels!,
  );
}

test('on this machine and without a token: read directly, and not through a proxy, by no key and in no other way', async () => {
  const answer = await get('/metrics');
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-type')!, /^text\/plain/);
  assert.equal(answer.headers.get('cache-control'), 'no-store');
  const unknown = await get('/no-such-path');
  for (const headers of [
    { 'x-forwarded-for': '127.0.0.1' },
    { forwarded: 'for=203.0.113.7' },
    { via: '1.1 proxy', authorization: `Bearer ${bench.acme.key}` },
    { 'cf-connecting-ip': '203.0.113.7' },
  ]) {
    const refused = await get('/metrics', headers as Record<string, string>);
    assert.deepEqual([refused.status, refused.json.error.code], [unknown.status, unknown.json.error.code]);
  }
  assert.equal((await fetch(`${bench.url}/metrics`, { method: 'POST' })).ok, false);
  assert.ok(!('/metrics' in (await get('/docs/json')).json.paths));
});

test('any requests produce few series: routes by their pattern, all unknown paths as one', async () => {
  for (const i of Array(30).keys()) {
    await get(`/v1/fine_tuning/jobs/ftjob-${i}`, { authorization: `Bearer ${bench.acme.key}` });
    await get(`/nowhere/${i}`);
    await fetch(`${bench.url}/nowhere/${i}`, { method: i % 2 ? 'PATCH' : 'OPTIONS' });
  }
  const series = await seriesOf();
  assert.ok(series.includes('{method="GET",route="/v1/fine_tuning/jobs/:fine_tuning_job_id",status="404"}'));
  assert.equal(series.filter((labels) => labels.includes('unknown')).length, 1, series.join('\n'));
  assert.ok(series.length < 12, series.join('\n'));
  assert.ok(!series.some((labels) => labels.includes('ftjob-') || labels.includes('/metrics')));
});
