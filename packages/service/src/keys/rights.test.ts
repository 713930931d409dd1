/** Rights and lifetimes of keys, and who grants them: people, roles, limits, rotation, and operator keys. */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Role, scopes } from '@graft/wire/lists';
import { putMember, removeMember, setMemberRole } from '../people/memberships.ts';
import { createPerson, type PersonRecord, updatePerson } from '../people/person-records.ts';
import type { Services } from '../services.ts';
import { createTestTeam, type TestTeam } from '../testing/job-fixtures.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { createApiKey, type NewApiKey } from './create-api-key.ts';
import { getApiKey, listApiKeys } from './manage-api-keys.ts';
import { allowsModel } from './model-limit.ts';
import { createOperatorKey, listOperatorKeys, revokeOperatorKey } from './operator-keys.ts';
import { rotateApiKey } from './rotate-api-key.ts';
import { allowsScope, checkLimits } from './scopes.ts';
import { type Identity, verifyApiKey, verifyKey } from './verify-api-key.ts';

let services: Services;
let team: TestTeam;
before(async () => {
  services = await openTestServices({ role: 'admin' });
  team = await createTestTeam(services);
});
after(async () => await services.close());

const verify = async (key: string) => await verifyApiKey(services, `Bearer ${key}`);

async function make(input: Partial<NewApiKey> = {}) {
  const made = await createApiKey(services, team.id, { name: 'x', role: 'admin', ...input });
  return { ...made, identity: (await verify(made.key)) as Identity };
}

let people = 0;
async function join(role: Role): Promise<PersonRecord> {
  const person = await createPerson(services, { email: `p${people++}@example.com`, name: 'P' });
  assert.equal((await putMember(services, team.id, person.id, role))!.role, role);
  return person;
}

describe("a person's key", () => {
  test('acts with the smaller of its role and the person’s of this moment', async () => {
    await join('admin');
    const person = await join('member');
    const { key, identity } = await make({ role: 'admin', personId: person.id });
    assert.deepEqual([identity.role, identity.personId], ['member', person.id]);
    await setMemberRole(services, team.id, person.id, 'admin', null);
    assert.equal((await verify(key))!.role, 'admin');
    await setMemberRole(services, team.id, person.id, 'viewer', null);
    assert.equal((await verify(key))!.role, 'viewer');
    const small = await make({ role: 'viewer', personId: (await join('admin')).id });
    assert.equal(small.identity.role, 'viewer');
  });

  test('sleeps while the person is disabled, and is over when they leave, also if they come back', async () => {
    const person = await join('member');
    const { key, keyId } = await make({ role: 'member', personId: person.id });
    const own = await make({ role: 'member' });
    await updatePerson(services, person.id, { isDisabled: true });
    assert.equal(await verify(key), null);
    await updatePerson(services, person.id, { isDisabled: false });
    assert.ok(await verify(key));
    assert.ok(await removeMember(services, team.id, person.id, null));
    assert.equal(await verify(key), null);
    await putMember(services, team.id, person.id, 'member');
    assert.equal(await verify(key), null);
    assert.ok((await getApiKey(services, team.id, keyId))!.revokedAt);
    assert.ok(await verify(own.key), 'a key of the team stays');
  });

  test('is of members only', async () => {
    const stranger = await createPerson(services, { email: 'stranger@example.com', name: 'S' });
    await assert.rejects(make({ personId: stranger.id }), { code: 'member_not_found' });
    await assert.rejects(make({ personId: 'user-none' }), { code: 'member_not_found' });
  });

  test('made at the moment in which the person is removed, is not alive afterwards', async () => {
    for (let i = 0; i < 10; i++) {
      const person = await join('member');
      const [made] = await Promise.allSettled([
        make({ role: 'member', personId: person.id }),
        removeMember(services, team.id, person.id, null),
      ]);
      await putMember(services, team.id, person.id, 'member');
      if (made.status === 'fulfilled') assert.equal(await verify(made.value.key), null);
      else assert.equal(made.reason.code, 'member_not_found');
    }
  });
});

describe('limits', () => {
  test('no key has more than its maker', async () => {
    const limits = { scopes: ['files:read', 'keys:write'], models: ['tiny', 'ft:tiny:*'] };
    const { identity: by } = await make({ role: 'member', ...limits, expiresIn: 1000 });
    assert.deepEqual([by.scopes, by.models], [limits.scopes, limits.models]);
    const within = { role: 'viewer', scopes: ['files:read'], models: ['ft:tiny:a:*', 'tiny'] } as const;
    const { identity } = await make({ ...within, scopes: ['files:read'], models: [...within.models], by });
    assert.deepEqual([identity.scopes, identity.models], [within.scopes, within.models]);
    assert.deepEqual(identity.expiresAt, by.expiresAt);
    for (const [param, more] of Object.entries({
      role: { role: 'admin' },
      scopes: { scopes: ['files:read', 'files:write'] },
      models: { models: ['ft:*'] },
      expires_in: { expiresIn: 2000 },
    } as Record<string, Partial<NewApiKey>>)) {
      const input = { ...within, scopes: ['files:read'], models: ['tiny'], by, ...more };
      await assert.rejects(make(input), { code: 'exceeds_maker', param });
    }
    for (const param of ['scopes', 'models']) {
      const all = { role: 'viewer' as const, ...limits, by, [param]: null };
      await assert.rejects(make(all), { code: 'exceeds_maker', param });
    }
  });

  test('scopes and models that are none', () => {
    const none = { scopes: null, models: null };
    for (const wrong of ['files', 'file:read', 'files:*', '*', '', 'files:read ', 'constructor', '__proto__'])
      assert.throws(() => checkLimits({ ...none, scopes: [wrong] }, none), { code: 'invalid_scope' }, wrong);
    for (const wrong of ['*', 'a*b', '**', '', 'a b', 'x'.repeat(257)])
      assert.throws(
        () => checkLimits({ ...none, models: [wrong] }, none),
        { code: 'invalid_model_limit' },
        wrong,
      );
    const many = Array.from({ length: 65 }, (_, i) => `m${i}`);
    assert.throws(() => checkLimits({ ...none, models: many }, none), { code: 'invalid_model_limit' });
    checkLimits({ scopes: Object.keys(scopes), models: [] }, none);
  });

  test('what they allow', () => {
    assert.ok(allowsScope(null, 'files:read') && allowsScope(['files:read'], 'files:read'));
    assert.ok(!allowsScope(['files:write'], 'files:read') && !allowsScope([], 'files:read'));
    const models = ['tiny', 'ft:tiny:acme:*', 'org/big'];
    for (const model of ['tiny', 'ft:tiny:acme:poet:x', 'org/big']) assert.ok(allowsModel(models, model));
    for (const model of ['tin', 'tiny2', 'ft:tiny:other:x', 'org/big/x', '', '*', 'ft:tiny:acm'])
      assert.ok(!allowsModel(models, model), model);
    assert.ok(allowsModel(null, 'any') && !allowsModel([], 'tiny'));
  });

  test('a key ends by Postgres’s clock', async () => {
    const { key, keyId, identity } = await make({ expiresIn: 3600 });
    assert.ok(Math.abs(identity.expiresAt!.getTime() - Date.now() - 3600_000) < 60_000);
    await services.sql.query('UPDATE api_keys SET expires_at = now() WHERE id = $1', [keyId]);
    assert.equal(await verify(key), null);
  });
});

describe('rotation', () => {
  test('the successor has the same rights, and both work until the overlap is over', async () => {
    const person = await join('member');
    const rights = { scopes: ['files:read'], models: ['tiny'] };
    const old = await make({ role: 'member', ...rights, personId: person.id, expiresIn: 7200 });
    const made = (await rotateApiKey(services, team.id, old.keyId, { overlap: 60, by: null }))!;
    const { keyId, expiresAt, ...rest } = (await verify(made.key))!;
    const { keyId: _, expiresAt: end, ...before } = old.identity;
    assert.deepEqual(rest, before);
    assert.equal(keyId, made.keyId);
    assert.ok(Math.abs(expiresAt!.getTime() - end!.getTime()) < 30_000, 'made for as long as the old one');
    assert.ok(await verify(old.key));
    const record = (await getApiKey(services, team.id, old.keyId))!;
    assert.equal(record.replacedBy, made.keyId);
    assert.ok(Math.abs(record.expiresAt!.getTime() - record.rotatedAt!.getTime() - 60_000) < 10);
    await assert.rejects(rotateApiKey(services, team.id, old.keyId, { overlap: 0, by: null }), {
      code: 'key_not_rotatable',
    });
  });

  test('without an overlap the old one ends at once; an end that was nearer stays', async () => {
    const old = await make();
    assert.ok(await rotateApiKey(services, team.id, old.keyId, { overlap: 0, by: null }));
    assert.equal(await verify(old.key), null);
    const brief = await make({ expiresIn: 100 });
    await rotateApiKey(services, team.id, brief.keyId, { overlap: 1000, by: null });
    const { expiresAt } = (await getApiKey(services, team.id, brief.keyId))!;
    assert.deepEqual(expiresAt, brief.identity.expiresAt);
  });

  test('twenty at once make one successor', async () => {
    const old = await make();
    const rotate = () => rotateApiKey(services, team.id, old.keyId, { overlap: 60, by: null });
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, rotate));
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
    const { rows } = await services.sql.query('SELECT replaced_by FROM api_keys WHERE id = $1', [old.keyId]);
    assert.ok(await getApiKey(services, team.id, rows[0].replaced_by));
  });

  test('is no way to more rights, more time, or another team', async () => {
    const { identity: by } = await make({ scopes: ['keys:write'] });
    const whole = await make();
    await assert.rejects(rotateApiKey(services, team.id, whole.keyId, { overlap: 60, by }), {
      code: 'exceeds_maker',
    });
    const brief = await make({ expiresIn: 100 });
    const self = { overlap: 60, by: brief.identity };
    await assert.rejects(rotateApiKey(services, team.id, brief.keyId, { ...self, expiresIn: 200 }), {
      code: 'exceeds_maker',
      param: 'expires_in',
    });
    const again = (await rotateApiKey(services, team.id, brief.keyId, self))!;
    assert.ok((await verify(again.key))!.expiresAt! <= brief.identity.expiresAt!);
    const other = await createTestTeam(services);
    assert.equal(await rotateApiKey(services, other.id, whole.keyId, { overlap: 60, by: null }), null);
    assert.ok(await verify(whole.key));
  });
});

test('a list shows an admin all keys of the team, and others their own', async () => {
  const person = await join('member');
  const theirs = await make({ role: 'member', personId: person.id });
  const second = await make({ role: 'member', personId: person.id });
  const lone = await make({ role: 'member' });
  const { identity: admin } = await make();
  const list = async (reader: Identity) =>
    (await listApiKeys(services, team.id, { limit: 1000, reader })).data.map(({ id }) => id);
  assert.deepEqual(await list(theirs.identity), [second.keyId, theirs.keyId]);
  assert.deepEqual(await list(lone.identity), [lone.keyId]);
  const all = await list(admin);
  for (const { keyId } of [theirs, second, lone]) assert.ok(all.includes(keyId));
  const page = { limit: 1, reader: theirs.identity };
  await assert.rejects(listApiKeys(services, team.id, { ...page, after: lone.keyId }), {
    code: 'invalid_cursor',
  });
  const rest = await listApiKeys(services, team.id, { ...page, after: second.keyId });
  assert.deepEqual([rest.data[0]!.id, rest.hasMore], [theirs.keyId, false]);
});

test("the operator's keys are of no team, and of operators alone", async () => {
  const person = await createPerson(services, { email: 'op@example.com', name: 'Op' });
  const input = { name: 'x', personId: person.id };
  await assert.rejects(createOperatorKey(services, input), { code: 'not_an_operator' });
  await updatePerson(services, person.id, { isOperator: true });
  const { key, record } = await createOperatorKey(services, { ...input, expiresIn: 3600 });
  const own = await createOperatorKey(services, { name: 'machine' });
  assert.match(key, /^graft_op_[0-9A-Za-z]{12}_[0-9A-Za-z]{40}$/);
  const check = async (text: string) => await verifyKey(services, `Bearer ${text}`);
  assert.deepEqual(await check(key), {
    kind: 'operator',
    operator: { keyId: record.id, personId: person.id, expiresAt: record.expiresAt },
  });
  assert.equal(await verify(key), null);
  assert.equal(await check(`${key.slice(0, -1)}${key.endsWith('a') ? 'b' : 'a'}`), null);
  assert.equal(await check(key.replace('graft_op_', 'graft_')), null);
  const { operator } = (await check(key)) as Extract<Awaited<ReturnType<typeof check>>, { kind: 'operator' }>;
  await assert.rejects(createOperatorKey(services, { name: 'y', expiresIn: 7200 }, operator), {
    code: 'exceeds_maker',
  });
  await updatePerson(services, person.id, { isOperator: false });
  assert.equal(await check(key), null);
  assert.ok(await check(own.key));
  assert.deepEqual(await revokeOperatorKey(services, own.record.id), [own.record.id]);
  for (const none of [own.record.id, 'op_unknown'])
    assert.equal(await revokeOperatorKey(services, none), null, none);
  assert.equal(await check(own.key), null);
  const { data } = await listOperatorKeys(services, { limit: 10 });
  assert.deepEqual(data.map(({ id }) => id).sort(), [record.id, own.record.id].sort());
  assert.ok(!JSON.stringify(data).includes('secret'));
  const audit = await services.db.auditEntry.findMany({
    where: { target: own.record.id },
    orderBy: { id: 'asc' },
  });
  assert.deepEqual(
    audit.map(({ teamId, action }) => [teamId, action]),
    [
      [null, 'operator_key.create'],
      [null, 'operator_key.revoke'],
    ],
  );
});
