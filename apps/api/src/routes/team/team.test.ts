import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createPerson, putMember } from '@graft/service/people';
import { createTeam } from '@graft/service/teams';
import { assertError } from '../../testing/assert-error.ts';
import {
  type ApiBench,
  answerOf,
  type Caller,
  chatLine,
  openApiBench,
} from '../../testing/open-api-bench.ts';

let bench: ApiBench;
let admin: Caller;
let stranger: Caller;
before(async () => {
  bench = await openApiBench();
  admin = await bench.caller(bench.acme, 'admin');
  stranger = await bench.caller(bench.other, 'admin');
});
after(async () => await bench?.close());

/** Accepts an invitation, without a key. */
async function accept(body: unknown) {
  const response = await fetch(`${bench.url}/v1/invitations/accept`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return await answerOf(response);
}

async function join(email: string, role: string): Promise<Caller & { personId: string }> {
  const { token } = (await admin.send('POST', '/v1/team/invitations', { email, role })).json;
  const accepted = await accept({ token });
  assert.equal(accepted.status, 200, accepted.text);
  const { key, person } = accepted.json;
  return { ...bench.withKey(bench.acme, key), personId: person.id };
}

test('/me describes the caller: a key, a person’s key, the operator', async () => {
  const { teamId } = bench.acme;
  const limited = await bench.caller(bench.acme, 'viewer', { scopes: [], models: ['tiny'] });
  assert.deepEqual((await limited.send('GET', '/v1/me')).json, {
    object: 'me',
    kind: 'team',
    team: { id: teamId, name: 'acme' },
    role: 'viewer',
    scopes: [],
    models: ['tiny'],
    person: null,
    is_operator: false,
    teams: null,
    session: null,
    key: { id: limited.key.split('_')[1], expires_at: null },
  });
  const ada = await join('me@example.com', 'member');
  const { person, role } = (await ada.send('GET', '/v1/me')).json;
  assert.deepEqual([person, role], [{ id: ada.personId, email: 'me@example.com', name: 'me' }, 'member']);
  const operator = (await (await bench.operator()).send('GET', '/v1/me')).json;
  assert.deepEqual([operator.kind, operator.team, operator.role], ['operator', null, null]);
});

describe('members', () => {
  test('come by invitation, change roles, leave and are removed; their keys follow at once', async () => {
    const first = await join('first@example.com', 'admin');
    const second = await join('second@example.com', 'viewer');
    const list = (await second.send('GET', '/v1/team/members?limit=1000')).json.data;
    const emails = list.map(({ email }: { email: string }) => email);
    assert.ok(emails.includes('first@example.com') && emails.includes('second@example.com'));
    assertError(await second.send('GET', '/v1/team/invitations'), 403, 'insufficient_role');

    const path = `/v1/team/members/${second.personId}`;
    const promoted = await first.send('POST', path, { role: 'admin' });
    assert.deepEqual([promoted.status, promoted.json.role], [200, 'admin']);
    // The rights of an invitation's key follow the person's role.
    assert.equal((await second.send('GET', '/v1/team/invitations')).status, 200);
    assert.equal((await first.send('POST', path, { role: 'viewer' })).json.role, 'viewer');
    assertError(await second.send('GET', '/v1/team/invitations'), 403, 'insufficient_role');
    const { id: keyId } = (await second.send('GET', '/v1/me')).json.key;
    const rotated = await second.send('POST', `/v1/team/keys/${keyId}/rotate`, {});
    assert.equal(rotated.status, 200, rotated.text);
    assert.equal(
      (await bench.withKey(bench.acme, rotated.json.key).send('GET', '/v1/me')).json.role,
      'viewer',
    );

    assert.equal((await first.send('DELETE', path)).json.deleted, true);
    assertError(await second.send('GET', '/v1/me'), 401, 'invalid_api_key');
    assertError(await first.send('DELETE', path), 404, 'member_not_found');
    assertError(await first.send('POST', '/v1/team/leave'), 400, 'last_admin');
    const last = await first.send('POST', `/v1/team/members/${first.personId}`, { role: 'member' });
    assertError(last, 400, 'last_admin');
    const third = await join('third@example.com', 'viewer');
    assert.equal((await third.send('POST', '/v1/team/leave')).json.id, third.personId);
    assertError(await third.send('GET', '/v1/me'), 401, 'invalid_api_key');
    assertError(await admin.send('POST', '/v1/team/leave'), 400, 'no_person');
  });

  test("another team's are as unknown as none", async () => {
    const member = await join('mine@example.com', 'member');
    const unknown = `user-${'x'.repeat(24)}`;
    for (const [method, body] of [
      ['DELETE', undefined],
      ['POST', { role: 'viewer' }],
    ] as const) {
      const foreign = await stranger.send(method, `/v1/team/members/${member.personId}`, body);
      const none = await stranger.send(method, `/v1/team/members/${unknown}`, body);
      assertError(foreign, 404, 'member_not_found');
      assert.equal(foreign.text.replace(member.personId, '?'), none.text.replace(unknown, '?'));
    }
    assert.deepEqual((await stranger.send('GET', '/v1/team/members')).json.data, []);
    const after = await stranger.send('GET', `/v1/team/members?after=${member.personId}`);
    assertError(after, 400, 'invalid_cursor', 'after');
    assert.equal((await member.send('GET', '/v1/me')).status, 200);
  });
});

describe('invitations', () => {
  test('are made, listed without their tokens, revoked, and used once', async () => {
    const made = await admin.send('POST', '/v1/team/invitations', { expires_in: 60 });
    assert.equal(made.status, 200, made.text);
    const { token, ...created } = made.json;
    assert.deepEqual([created.role, created.email, created.accepted_at], ['member', null, null]);
    assert.ok(Math.abs(created.expires_at - created.created_at - 60) <= 1);
    const list = await admin.send('GET', '/v1/team/invitations');
    assert.deepEqual(list.json.data[0], created);
    assert.ok(!list.text.includes(token.split('_')[3]));
    assertError(await accept({ token }), 400, 'missing_required_parameter', 'email');
    const strange = await stranger.send('DELETE', `/v1/team/invitations/${created.id}`);
    assertError(strange, 404, 'invitation_not_found');
    assert.equal((await admin.send('DELETE', `/v1/team/invitations/${created.id}`)).status, 200);
    assertError(
      await admin.send('DELETE', `/v1/team/invitations/${created.id}`),
      404,
      'invitation_not_found',
    );
    assertError(await accept({ token, email: 'a@b.de' }), 400, 'invalid_invitation', 'token');
  });

  test('a link of the API leads on to the page, which browsers take the token along to', async () => {
    for (const query of ['', '?x=1']) {
      const answer = await fetch(`${bench.url}/v1/invitations/accept${query}`, { redirect: 'manual' });
      assert.deepEqual([answer.status, answer.headers.get('location')], [302, '/invitations/accept']);
    }
  });

  test('input of strangers is bounded, with specific errors', async () => {
    assertError(await accept({}), 400, 'missing_required_parameter', 'token');
    assertError(await accept({ token: 'x' }), 400, 'invalid_invitation', 'token');
    assertError(await accept({ token: 'x'.repeat(300) }), 400, 'invalid_value', 'token');
    assertError(await accept({ token: 'x'.repeat(20_000) }), 413, 'body_too_large');
    assertError(await accept({ token: 'x', team: 'y' }), 400, 'unknown_parameter', 'team');
    const { token } = (await admin.send('POST', '/v1/team/invitations', {})).json;
    assertError(await accept({ token, email: 'a b@c.de' }), 400, 'invalid_email', 'email');
    assertError(await accept({ token, email: 'a@b.de', name: 'a\nb' }), 400, 'invalid_person_name', 'name');
    const email = 'not an email';
    assertError(await admin.send('POST', '/v1/team/invitations', { email }), 400, 'invalid_email', 'email');
  });
});

test('a team is deleted by its name, when its jobs have ended, and nobody gets in any more', async () => {
  const { id } = await createTeam(bench.services, { name: 'brief' });
  const team = await bench.caller({ ...bench.acme, teamId: id, teamName: 'brief' }, 'admin');
  const created = (await team.send('GET', '/v1/team')).json;
  assert.deepEqual([created.id, created.name, created.running_limit], [id, 'brief', 8]);
  const person = await createPerson(bench.services, { email: 'in@brief.example', name: 'In' });
  await putMember(bench.services, id, person.id, 'admin');
  const training_file = await team.upload(chatLine);
  const { json: job } = await team.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file });
  assertError(await team.send('DELETE', '/v1/team'), 400, 'missing_required_parameter', 'name');
  assertError(await team.send('DELETE', '/v1/team?name=acme'), 400, 'wrong_team_name', 'name');
  assertError(await team.send('DELETE', '/v1/team?name=brief'), 400, 'team_has_jobs');
  await team.send('POST', `/v1/fine_tuning/jobs/${job.id}/cancel`);
  const gone = await team.send('DELETE', '/v1/team?name=brief');
  assert.deepEqual(gone.json, { id, object: 'team', deleted: true });
  assertError(await team.send('GET', '/v1/team'), 401, 'invalid_api_key');
  const end = performance.now() + 60_000;
  while ((await bench.services.db.team.count({ where: { id } })) > 0) {
    assert.ok(performance.now() < end, 'its rows are still there');
    await sleep(50);
  }
  assert.equal(await bench.services.db.file.count({ where: { teamId: id } }), 0);
  assert.equal((await admin.send('GET', '/v1/team')).status, 200);
});

test('a preview of an invitation names its team, role and inviter, and does not use it up', async () => {
  const preview = async (token: string) =>
    await answerOf(
      await fetch(`${bench.url}/v1/invitations/preview`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ token }),
      }),
    );
  const lead = await join('lead@example.com', 'admin');
  for (const [by, name] of [
    [admin, null],
    [lead, 'lead'],
  ] as const) {
    const { json } = await by.send('POST', '/v1/team/invitations', { role: 'viewer' });
    for (let time = 0; time < 2; time++)
      assert.deepEqual((await preview(json.token)).json, {
        object: 'invitation.preview',
        team_name: 'acme',
        role: 'viewer',
        invited_by: name,
        expires_at: json.expires_at,
      });
    const wrong = `${json.token.slice(0, -1)}${json.token.endsWith('a') ? 'b' : 'a'}`;
    assertError(await preview(wrong), 400, 'invalid_invitation', 'token');
    if (name === null) await by.send('DELETE', `/v1/team/invitations/${json.id}`);
    else assert.equal((await accept({ token: json.token, email: `by-${name}@example.com` })).status, 200);
    assertError(await preview(json.token), 400, 'invalid_invitation', 'token');
  }
});
