import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ApiBench, chatLine, openApiBench } from '../testing/open-api-bench.ts';
import { hasCurrent } from './entity-tags.ts';

let bench: ApiBench;
before(async () => {
  bench = await openApiBench({ validationSweepMs: 3_600_000 });
});
after(async () => await bench?.close());

test('a poller that has the answer gets 304 until something changes', async () => {
  const { acme, other } = bench;
  const training_file = await acme.upload(chatLine);
  const { json: job } = await acme.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file });
  await bench.untilState(job.id, 'queued');
  const path = `/v1/fine_tuning/jobs/${job.id}`;
  const first = await acme.send('GET', path);
  const etag = first.headers.get('etag')!;
  assert.match(etag, /^W\/"[\w-]{22}"$/);
  assert.equal(first.headers.get('cache-control'), 'private, no-cache');
  for (const known of [etag, `"x", ${etag}`, etag.slice(2), '*']) {
    const again = await acme.send('GET', path, undefined, { 'if-none-match': known });
    assert.deepEqual([again.status, again.text, again.headers.get('etag')], [304, '', etag], known);
    assert.equal(again.headers.get('content-type'), null);
  }
  // The ETag gives no access to other teams.
  assert.equal((await other.send('GET', path, undefined, { 'if-none-match': etag })).status, 404);

  await acme.send('POST', `${path}/cancel`);
  const changed = await acme.send('GET', path, undefined, { 'if-none-match': etag });
  assert.deepEqual([changed.status, changed.json.status], [200, 'cancelled']);
  assert.notEqual(changed.headers.get('etag'), etag);
});

test('only what was read and found has a tag', async () => {
  const { acme } = bench;
  const post = await acme.send('POST', '/v1/fine_tuning/jobs', {}, { 'if-none-match': '*' });
  assert.deepEqual([post.status, post.headers.get('etag')], [400, null]);
  const missing = await acme.send('GET', '/v1/files/file-none', undefined, { 'if-none-match': '*' });
  assert.deepEqual([missing.status, missing.headers.get('etag')], [404, null]);
});

test('If-None-Match', () => {
  for (const known of ['W/"a"', '"a"', ' "b" , W/"a"', `${'"x", '.repeat(5000)}"a"`, '*'])
    assert.ok(hasCurrent(known, '"a"') && hasCurrent(known, 'W/"a"'), known.slice(-20));
  for (const known of [undefined, '', ',', '"ab"', 'a', 'w/"a"', `${'"x", '.repeat(5000)}"y"`])
    assert.ok(!hasCurrent(known, '"a"') && !hasCurrent(known, 'W/"a"'), known?.slice(-20));
});
