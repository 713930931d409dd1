import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createPerson } from '@graft/service/people';
import { assertError } from '../../testing/assert-error.ts';
import { type ApiBench, type Caller, openApiBench } from '../../testing/open-api-bench.ts';

let bench: ApiBench;
let operator: Caller;
before(async () => {
  bench = await openApiBench();
  operator = await bench.operator();
});
after(async () => await bench?.close());

test('the operator creates, lists and revokes keys of one team, as its audit log records', async () => {
  const { acme, other } = bench;
  const path = `/v1/admin/teams/${acme.teamId}/keys`;
  const body = { name: 'ci', role: 'viewer', scopes: ['files:read', 'audit:read'], expires_in: 60 };
  const made = await operator.send('POST', path, body);
  assert.equal(made.status, 200, made.text);
  const { key, id, role, scopes, person_id, created_by, made_by_key } = made.json;
  assert.deepEqual([role, scopes, person_id], ['viewer', body.scopes, null]);
  const by = operator.key.split('_').slice(1, 3).join('_');
  assert.deepEqual([created_by, made_by_key], [by, by]);
  assert.equal((await bench.withKey(acme, key).send('GET', '/v1/files')).status, 200);
  const plain = (await operator.send('POST', path, { name: 'plain' })).json;
  assert.deepEqual([plain.role, plain.scopes, plain.models, plain.expires_at], ['member', null, null, null]);

  const listed = (await operator.send('GET', `${path}?limit=2`)).json;
  assert.deepEqual(
    [listed.data.map((row: { id: string }) => row.id), listed.has_more],
    [[plain.id, id], true],
  );
  assert.doesNotMatch(JSON.stringify(listed), /secret|graft_/);
  const foreign = `/v1/admin/teams/${other.teamId}/keys`;
  assert.ok(!(await operator.send('GET', foreign)).text.includes(id));
  assertError(await operator.send('DELETE', `${foreign}/${id}`), 404, 'api_key_not_found', 'key_id');
  assertError(await operator.send('GET', '/v1/admin/teams/acme/keys'), 404, 'team_not_found');
  assertError(await operator.send('POST', '/v1/admin/teams/none/keys', { name: 'x' }), 404, 'team_not_found');
  for (const more of [{ scopes: ['x:y'] }, { role: 'owner' }, { person_id: 'user-none' }, { owner: 'team' }])
    assert.equal(
      (await operator.send('POST', path, { name: 'x', ...more })).json.error.type,
      'invalid_request_error',
    );

  const revoked = await operator.send('DELETE', `${path}/${id}`);
  assert.deepEqual(revoked.json.revoked.keys, [id]);
  assertError(await bench.withKey(acme, key).send('GET', '/v1/files'), 401, 'invalid_api_key');
  const { data } = (await (await bench.caller(acme, 'admin')).send('GET', `/v1/audit?target=${id}`)).json;
  assert.deepEqual(
    data.map((entry: { action: string; key_id: string }) => [entry.action, entry.key_id]),
    [
      ['api_key.revoke', by],
      ['api_key.create', by],
    ],
  );
});

test('a key of the operator that ends or is revoked takes the keys of teams that it created along', async () => {
  const { acme, other } = bench;
  const { json } = await operator.send('POST', '/v1/admin/keys', { name: 'brief', expires_in: 3600 });
  const brief = bench.withKey({ teamId: '', teamName: '' }, json.key);
  const create = async (team: Caller, body: object) =>
    await brief.send('POST', `/v1/admin/teams/${team.teamId}/keys`, { name: 'x', ...body });
  assertError(await create(acme, { expires_in: 7200 }), 403, 'exceeds_maker', 'expires_in');
  const keys: Caller[] = [];
  for (const team of [acme, other]) {
    const made = (await create(team, { role: 'admin' })).json;
    assert.equal(made.expires_at, json.expires_at);
    keys.push(bench.withKey(team, made.key));
  }
  const child = (await keys[0]!.send('POST', '/v1/team/keys', { name: 'child', owner: 'team' })).json;
  keys.push(bench.withKey(acme, child.key));
  for (const key of keys) assert.equal((await key.send('GET', '/v1/me')).status, 200);
  assert.equal((await operator.send('DELETE', `/v1/admin/keys/${json.id}`)).status, 200);
  for (const key of keys) assertError(await key.send('GET', '/v1/me'), 401, 'invalid_api_key');
  const entries = await bench.services.db.auditEntry.findMany({
    where: { target: json.id, action: { in: ['api_key.revoke', 'operator_key.revoke'] } },
  });
  assert.deepEqual(new Set(entries.map(({ teamId }) => teamId)), new Set([acme.teamId, other.teamId, null]));
});

test('the operator adds, changes and removes members of one team', async () => {
  const { services, acme, other } = bench;
  const ada = await createPerson(services, { email: 'ada@example.com', name: 'Ada' });
  const path = `/v1/admin/teams/${acme.teamId}/members/${ada.id}`;
  assertError(await operator.send('DELETE', path), 404, 'member_not_found', 'person_id');
  const added = (await operator.send('POST', path, { role: 'member' })).json;
  assert.deepEqual([added.id, added.role, added.source], [ada.id, 'member', 'manual']);
  assert.equal((await operator.send('POST', path, { role: 'admin' })).json.role, 'admin');
  assertError(await operator.send('POST', path, { role: 'viewer' }), 400, 'last_admin');
  assertError(await operator.send('DELETE', path), 400, 'last_admin');
  const foreign = `/v1/admin/teams/${other.teamId}/members`;
  assertError(await operator.send('DELETE', `${foreign}/${ada.id}`), 404, 'member_not_found');
  assertError(
    await operator.send('POST', `${foreign}/user-none`, { role: 'member' }),
    404,
    'person_not_found',
  );
  const nowhere = `/v1/admin/teams/none/members/${ada.id}`;
  assertError(await operator.send('POST', nowhere, { role: 'member' }), 404, 'team_not_found');

  const key = `/v1/admin/teams/${acme.teamId}/keys`;
  const hers = (await operator.send('POST', key, { name: 'hers', person_id: ada.id })).json;
  assert.equal(hers.person_id, ada.id);
  const eve = await createPerson(services, { email: 'eve@example.com', name: 'Eve' });
  await operator.send('POST', `/v1/admin/teams/${acme.teamId}/members/${eve.id}`, { role: 'admin' });
  assert.deepEqual((await operator.send('DELETE', path)).json.keys_left, []);
  assertError(await bench.withKey(acme, hers.key).send('GET', '/v1/me'), 401, 'invalid_api_key');
});

test('a key of a team, whatever its role, is refused by all of these routes', async () => {
  const admin = await bench.caller(bench.acme, 'admin');
  const team = `/v1/admin/teams/${bench.acme.teamId}`;
  const asked: [string, string, object?][] = [
    ['GET', `${team}/keys`],
    ['POST', `${team}/keys`, { name: 'x' }],
    ['DELETE', `${team}/keys/none`],
    ['POST', `${team}/members/none`, { role: 'member' }],
    ['DELETE', `${team}/members/none`],
    ['POST', '/v1/admin/base-models/tiny/forget'],
  ];
  for (const [method, path, body] of asked)
    assertError(await admin.send(method, path, body), 403, 'operator_required');
});
