import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertError } from '../../testing/assert-error.ts';
import { openApiBench } from '../../testing/open-api-bench.ts';

test('prices are set, replaced, listed and removed by the operator, with an audit', async (t) => {
  const bench = await openApiBench({ validationSweepMs: 3_600_000 });
  t.after(async () => await bench.close());
  const operator = await bench.operator();
  await operator.send('POST', '/v1/admin/prices', { kind: 'trained_tokens', price: 2 });
  const day = 24 * 3600;
  const at = Math.floor(Date.now() / 1000 / day + 5) * day;
  const first = await operator.send('POST', '/v1/admin/prices', {
    kind: 'stored_bytes',
    price: 1,
    valid_from: at,
  });
  const again = await operator.send('POST', '/v1/admin/prices', {
    kind: 'stored_bytes',
    price: 0.25,
    valid_from: at,
  });
  assert.deepEqual(
    [again.json.id, again.json.price, again.json.unit],
    [first.json.id, 0.25, '1 GiB for 1 day'],
  );
  const odd = { kind: 'stored_bytes', price: 1, valid_from: at + 1 };
  assertError(await operator.send('POST', '/v1/admin/prices', odd), 400, 'invalid_price', 'valid_from');
  assertError(
    await operator.send('POST', '/v1/admin/prices', { kind: 'x', price: 1 }),
    400,
    'invalid_value',
    'kind',
  );
  const listed = await operator.send('GET', '/v1/admin/prices?limit=1');
  assert.deepEqual([listed.json.data[0].id, listed.json.has_more], [first.json.id, true]);
  const path = `/v1/admin/prices/${first.json.id}`;
  assert.equal((await operator.send('DELETE', path)).json.deleted, true);
  assertError(await operator.send('DELETE', path), 404, 'price_not_found', 'price_id');
  const audit = await bench.services.db.auditEntry.findMany({
    where: { target: first.json.id },
    orderBy: { id: 'asc' },
  });
  assert.deepEqual(
    audit.map(({ action }) => action),
    ['price.set', 'price.set', 'price.remove'],
  );
});
