import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createPerson, putMember } from '@graft/service/people';
import type { Role } from '@graft/wire/lists';
import { assertError } from '../../testing/assert-error.ts';
import { type ApiBench, type Caller, openApiBench } from '../../testing/open-api-bench.ts';

let bench: ApiBench;
let admin: Caller;
before(async () => {
  bench = await openApiBench();
  admin = await bench.caller(bench.acme, 'admin');
});
after(async () => await bench?.close());

const unknown = 'x'.repeat(12);
const idOf = ({ key }: Caller) => key.split('_')[1]!;

/** A member of acme with a personal key. */
async function person(role: Role): Promise<Caller & { personId: string }> {
  const { id } = await createPerson(bench.services, {
    email: `${role}${Math.random()}@example.com`,
    name: role,
  });
  await putMember(bench.services, bench.acme.teamId, id, role);
  return { ...(await bench.caller(bench.acme, role, { personId: id })), personId: id };
}

describe('a key', () => {
  test('is created, shown once, listed, read, and revoked permanently', async () => {
    const made = await admin.send('POST', '/v1/team/keys', {
      name: 'ci',
      role: 'member',
      scopes: ['files:write'],
      models: ['tiny'],
      expires_in: 3600,
    });
    assert.equal(made.status, 200, made.text);
    const { key, ...created } = made.json;
    assert.match(key, new RegExp(`^graft_${created.id}_[0-9A-Za-z]{40}$`));
    assert.deepEqual(
      [
        created.object,
        created.name,
        created.role,
        created.scopes,
        created.models,
        created.person_id,
        created.created_by,
      ],
      ['api_key', 'ci', 'member', ['files:write'], ['tiny'], null, idOf(admin)],
    );
    assert.ok(Math.abs(created.expires_at - created.created_at - 3600) <= 1);
    assert.deepEqual((await admin.send('GET', `/v1/team/keys/${created.id}`)).json, created);
    const { data } = (await admin.send('GET', '/v1/team/keys?limit=1')).json;
    assert.deepEqual(data, [created]);
    const caller = bench.withKey(bench.acme, key);
    assert.equal((await caller.send('GET', '/v1/me')).json.key.id, created.id);
    for (let i = 0; i < 2; i++) {
      const gone = await admin.send('DELETE', `/v1/team/keys/${created.id}`);
      const { revoked, ...more } = gone.json;
      assert.deepEqual(more, { id: created.id, object: 'api_key', deleted: true });
      assert.deepEqual(revoked.keys, i === 0 ? [created.id] : []);
    }
    assertError(await caller.send('GET', '/v1/me'), 401, 'invalid_api_key');
    assert.ok((await admin.send('GET', `/v1/team/keys/${created.id}`)).json.revoked_at);
  });

  test('revoked, it takes with it what it made, also by a session of it, unless that is kept', async () => {
    const parent = (await admin.send('POST', '/v1/team/keys', { name: 'stolen', role: 'admin' })).json;
    const signedIn = await fetch(`${bench.url}/v1/sign-in/key`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-graft-csrf': '1' },
      body: JSON.stringify({ key: parent.key }),
    });
    const cookie = signedIn.headers.getSetCookie()[0]!.split(';')[0]!;
    const made = await fetch(`${bench.url}/v1/team/keys`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-graft-csrf': '1', cookie },
      body: JSON.stringify({ name: 'by the session', role: 'admin' }),
    });
    const child = (await made.json()) as { id: string; key: string; made_by_key: string };
    assert.equal(child.made_by_key, parent.id);
    const remove = async (caller: Caller, query = '') =>
      await caller.send('DELETE', `/v1/team/keys/${parent.id}${query}`);
    const stranger = await bench.caller(bench.other, 'admin');
    assertError(await remove(stranger), 404, 'api_key_not_found');
    assertError(await remove(admin, '?descendants=some'), 400, 'invalid_value', 'descendants');
    const kept = (await remove(admin, '?descendants=keep')).json.revoked;
    assert.deepEqual([kept.keys, kept.kept], [[parent.id], [child.id]]);
    const both = (await remove(admin)).json.revoked;
    assert.deepEqual([both.keys, both.kept], [[child.id], []]);
    assertError(await bench.withKey(bench.acme, child.key).send('GET', '/v1/me'), 401, 'invalid_api_key');
    const session = await fetch(`${bench.url}/v1/me`, { headers: { cookie } });
    assert.equal(session.status, 401);
  });

  test('ended, it answers as a wrong one', async () => {
    const { key, id } = (await admin.send('POST', '/v1/team/keys', { name: 'x', expires_in: 3600 })).json;
    await bench.services.sql.query('UPDATE api_keys SET expires_at = now() WHERE id = $1', [id]);
    const ended = await bench.withKey(bench.acme, key).send('GET', '/v1/me');
    const wrong = await bench.withKey(bench.acme, `graft_${unknown}_${'x'.repeat(40)}`).send('GET', '/v1/me');
    assertError(ended, 401, 'invalid_api_key');
    assert.equal(ended.text, wrong.text);
  });

  test('has no more than its maker, and by default as much as they say', async () => {
    const limited = await bench.caller(bench.acme, 'admin', {
      scopes: ['keys:write', 'files:read'],
      models: ['ft:tiny:*'],
    });
    const same = (await limited.send('POST', '/v1/team/keys', { name: 'x' })).json;
    assert.deepEqual([same.scopes, same.models], [['keys:write', 'files:read'], ['ft:tiny:*']]);
    for (const [param, body] of Object.entries({ scopes: { scopes: null }, models: { models: ['tiny'] } })) {
      const answer = await limited.send('POST', '/v1/team/keys', { name: 'x', ...body });
      assertError(answer, 403, 'exceeds_maker', param);
    }
    const member = await person('member');
    const answer = await member.send('POST', '/v1/team/keys', { name: 'x', role: 'admin' });
    assertError(answer, 403, 'exceeds_maker', 'role');
  });

  test('an invalid new one has a specific error', async () => {
    const wrong = [
      [{}, 'missing_required_parameter', 'name'],
      [{ name: '' }, 'invalid_value', 'name'],
      [{ name: 'x', role: 'owner' }, 'invalid_value', 'role'],
      [{ name: 'x', scopes: ['file:read'] }, 'invalid_scope', 'scopes'],
      [{ name: 'x', scopes: 'files:read' }, 'invalid_value', 'scopes'],
      [{ name: 'x', models: ['*'] }, 'invalid_model_limit', 'models'],
      [{ name: 'x', models: Array(65).fill('a') }, 'invalid_value', 'models'],
      [{ name: 'x', expires_in: 0 }, 'invalid_value', 'expires_in'],
      [{ name: 'x', expires_in: 1e12 }, 'invalid_value', 'expires_in'],
      [{ name: 'x', owner: 'person' }, 'no_person', 'owner'],
      [{ name: 'x', personId: 'y' }, 'unknown_parameter', 'personId'],
    ] as const;
    for (const [body, code, param] of wrong)
      assertError(await admin.send('POST', '/v1/team/keys', body), 400, code, param);
  });
});

describe('who', () => {
  test('a person creates personal keys, and sees no others', async () => {
    const viewer = await person('viewer');
    const made = await viewer.send('POST', '/v1/team/keys', { name: 'laptop' });
    assert.equal(made.status, 200, made.text);
    assert.deepEqual([made.json.role, made.json.person_id], ['viewer', viewer.personId]);
    const { data } = (await viewer.send('GET', '/v1/team/keys')).json;
    assert.deepEqual(
      data.map(({ id }: { id: string }) => id),
      [made.json.id, idOf(viewer)],
    );
    const teamKey = await viewer.send('POST', '/v1/team/keys', { name: 'x', owner: 'team' });
    assertError(teamKey, 403, 'insufficient_role');
    for (const [method, tail] of [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', '/rotate'],
    ] as const) {
      const path = `/v1/team/keys/${idOf(admin)}${tail}`;
      assertError(await viewer.send(method, path, tail ? {} : undefined), 403, 'insufficient_role');
    }
    assert.equal((await viewer.send('DELETE', `/v1/team/keys/${made.json.id}`)).status, 200);
  });

  test('a key of the team that is no admin’s may rotate itself, and makes none', async () => {
    const member = await bench.caller(bench.acme, 'member');
    assertError(await member.send('POST', '/v1/team/keys', { name: 'x' }), 403, 'insufficient_role');
    const path = `/v1/team/keys/${idOf(member)}/rotate`;
    const rotated = await member.send('POST', path, {});
    assert.equal(rotated.status, 200, rotated.text);
    const next = bench.withKey(bench.acme, rotated.json.key);
    for (const caller of [member, next]) assert.equal((await caller.send('GET', '/v1/files')).status, 200);
    assertError(await next.send('POST', path, {}), 403, 'insufficient_role');
    assertError(await member.send('POST', path, {}), 400, 'key_not_rotatable');
    const old = (await member.send('GET', `/v1/team/keys/${idOf(member)}`)).json;
    assert.equal(old.replaced_by, rotated.json.id);
    assert.ok(Math.abs(old.expires_at - old.rotated_at - 3600) <= 1);
  });

  test('an admin revokes a person’s key but never gets to know its successor', async () => {
    const member = await person('member');
    const path = `/v1/team/keys/${idOf(member)}`;
    assertError(await admin.send('POST', `${path}/rotate`, {}), 403, 'not_your_key');
    const own = await member.send('POST', `${path}/rotate`, { overlap: 0 });
    assert.equal(own.json.person_id, member.personId);
    assertError(await member.send('GET', '/v1/files'), 401, 'invalid_api_key');
    assert.equal((await admin.send('DELETE', `/v1/team/keys/${own.json.id}`)).status, 200);
    const next = bench.withKey(bench.acme, own.json.key);
    assertError(await next.send('GET', '/v1/files'), 401, 'invalid_api_key');
  });

  test("another team's key is as unknown as none", async () => {
    const stranger = await bench.caller(bench.other, 'admin');
    for (const [method, tail, body] of [
      ['GET', '', undefined],
      ['DELETE', '', undefined],
      ['POST', '/rotate', {}],
    ] as const) {
      const foreign = await stranger.send(method, `/v1/team/keys/${idOf(admin)}${tail}`, body);
      const none = await stranger.send(method, `/v1/team/keys/${unknown}${tail}`, body);
      assertError(foreign, 404, 'api_key_not_found');
      assert.equal(foreign.text.replace(idOf(admin), '?'), none.text.replace(unknown, '?'));
    }
    assertError(await stranger.send('GET', `/v1/team/keys?after=${idOf(admin)}`), 400, 'invalid_cursor');
    assert.equal((await admin.send('GET', '/v1/me')).status, 200);
  });
});
