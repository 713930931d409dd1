import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertError } from '../../testing/assert-error.ts';
import { type ApiBench, type Caller, openApiBench } from '../../testing/open-api-bench.ts';

let bench: ApiBench;
let admin: Caller;
let stranger: Caller;
before(async () => {
  bench = await openApiBench();
  admin = await bench.caller(bench.acme, 'admin');
  stranger = await bench.caller(bench.other, 'admin');
  const keys = Array.from(
    { length: 1_200 },
    (_, i) => `($1, 'k${i % 2}', 'test.row', 'row-${i}', '{"a":"=1,\\"x\\""}')`,
  );
  await bench.services.sql.query(
    `INSERT INTO audit_log (team_id, key_id, action, target, detail) VALUES ${keys.join(',')}`,
    [bench.acme.teamId],
  );
});
after(async () => await bench?.close());

test('an admin lists the team’s log by the page, filtered; nobody else does', async () => {
  const page = (await admin.send('GET', '/v1/audit?action=test.*&limit=2')).json;
  assert.deepEqual(
    page.data.map(({ target }: { target: string }) => target),
    ['row-1199', 'row-1198'],
  );
  assert.deepEqual(page.data[0], {
    ...{ id: page.first_id, object: 'audit.entry', created_at: page.data[0].created_at },
    ...{ action: 'test.row', target: 'row-1199', key_id: 'k1', person_id: null, detail: { a: '=1,"x"' } },
  });
  const next = (await admin.send('GET', `/v1/audit?action=test.row&limit=2&after=${page.last_id}`)).json;
  assert.equal(next.data[0].target, 'row-1197');
  const one = async (query: string) =>
    (await admin.send('GET', `/v1/audit?limit=1000&${query}`)).json.data.length;
  assert.equal(await one('actor=k0'), 600);
  assert.equal(await one('target=row-7'), 1);
  const now = Math.floor(Date.now() / 1000);
  assert.equal(await one(`since=${now + 60}`), 0);
  assert.equal(await one(`action=test.row&until=${now - 86_400}`), 0);
  assert.equal((await stranger.send('GET', '/v1/audit?action=test.*')).json.data.length, 0);
  assertError(await bench.acme.send('GET', '/v1/audit'), 403, 'insufficient_role');
  assertError(await admin.send('GET', '/v1/audit?after=x'), 400, 'invalid_cursor', 'after');
});

test('an export has all, oldest first, in lines or as CSV that no spreadsheet runs', async () => {
  const lines = await admin.send('GET', '/v1/audit/export?action=test.row');
  assert.equal(lines.headers.get('content-type'), 'application/x-ndjson');
  const rows = lines.text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(rows.length, 1200);
  assert.deepEqual([rows[0].target, rows.at(-1).target], ['row-0', 'row-1199']);
  const rest = await admin.send('GET', `/v1/audit/export?action=test.row&after=${rows[1198].id}`);
  assert.equal(rest.text.trimEnd().split('\n').length, 1);
  const csv = await admin.send('GET', '/v1/audit/export?format=csv&limit=3&action=test.row');
  const cells = csv.text.trimEnd().split('\r\n');
  assert.equal(cells.length, 4);
  assert.match(cells[1]!, /^\d+,\d+,test\.row,row-0,k0,,"\{""a"":""=1,\\""x\\""""\}"$/);
  assert.equal((await stranger.send('GET', '/v1/audit/export?action=test.row')).text, '');
  assertError(await admin.send('GET', '/v1/audit/export?limit=100001'), 400, 'invalid_value', 'limit');
  assertError(await admin.send('GET', '/v1/audit/export?after=x'), 400, 'invalid_cursor', 'after');
});
