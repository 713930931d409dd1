import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createApiKey } from '../keys/create-api-key.ts';
import { createOperatorKey } from '../keys/operator-keys.ts';
import { revokeApiKey } from '../keys/revoke-api-key.ts';
import { type Identity, verifyApiKey, verifyKey } from '../keys/verify-api-key.ts';
import type { Services } from '../services.ts';
import { createKeySession } from '../sessions/create-session.ts';
import { createTestTeam, type TestTeam } from '../testing/job-fixtures.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { erasePerson } from './erase-person.ts';
import { acceptInvitation, createInvitation, listInvitations, revokeInvitation } from './invitations.ts';
import { getMember, listMembers, putMember, removeMember, setMemberRole } from './memberships.ts';
import { createPerson, findPerson, listPeople, type PersonRecord, updatePerson } from './person-records.ts';

let services: Services;
before(async () => {
  services = await openTestServices({ role: 'admin' });
});
after(async () => await services.close());

let count = 0;
const newPerson = async (): Promise<PersonRecord> =>
  await createPerson(services, { email: `person${count++}@example.com`, name: 'Somebody' });

async function actions(target: string): Promise<string[]> {
  const rows = await services.db.auditEntry.findMany({ where: { target }, orderBy: { id: 'asc' } });
  return rows.map(({ action }) => action);
}

describe('people', () => {
  test('one of an email, however it is written, also when several are made at once', async () => {
    const made = await createPerson(services, { email: ' Ada@Example.COM ', name: ' Ada L. ' });
    assert.deepEqual([made.email, made.name, made.isOperator], ['ada@example.com', 'Ada L.', false]);
    assert.match(made.id, /^user-[0-9A-Za-z]{24}$/);
    assert.deepEqual(await findPerson(services, 'ADA@example.com'), made);
    assert.deepEqual(await findPerson(services, made.id), made);
    const again = Array.from({ length: 10 }, (_, i) =>
      createPerson(services, { email: `${i % 2 ? 'N' : 'n'}ew@example.com`, name: 'New' }),
    );
    const outcomes = await Promise.allSettled(again);
    assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 1);
    for (const outcome of outcomes)
      if (outcome.status === 'rejected') assert.equal(outcome.reason.code, 'person_exists');
    assert.deepEqual(await actions(made.id), ['person.create']);
  });

  test('emails and names that are none', async () => {
    for (const email of ['', 'a', 'a@', '@b', 'a b@c.de', 'a@b@c', 'é@b.de', `${'x'.repeat(65)}@b.de`])
      await assert.rejects(createPerson(services, { email, name: 'x' }), { code: 'invalid_email' }, email);
    for (const name of ['', '  ', 'a\nb', 'a\u202eb', 'x'.repeat(101)])
      await assert.rejects(
        createPerson(services, { email: 'x@y.de', name }),
        { code: 'invalid_person_name' },
        name,
      );
  });

  test('are listed by the page, changed, disabled and enabled', async () => {
    const person = await newPerson();
    const page = await listPeople(services, { limit: 1 });
    assert.deepEqual([page.data[0]!.id, page.hasMore], [person.id, true]);
    const disabled = await updatePerson(services, person.id, { isDisabled: true, name: 'Other' });
    assert.ok(disabled!.disabledAt && disabled!.name === 'Other');
    const twice = await updatePerson(services, person.id, { isDisabled: true });
    assert.deepEqual(twice!.disabledAt, disabled!.disabledAt);
    assert.equal((await updatePerson(services, person.id, { isDisabled: false }))!.disabledAt, null);
    assert.equal(await updatePerson(services, 'user-none', { name: 'x' }), null);
    assert.equal((await actions(person.id)).length, 4);
  });
});

test('an erased person leaves the opaque id, and nothing in any table that names them', async () => {
  const team = await createTestTeam(services);
  const email = 'Marie.Erased@Example.com';
  const invited = await createInvitation(services, team.id, { email, role: 'admin' }, null);
  const { person, key, keyId } = await acceptInvitation(services, invited.token, { name: 'Marie Erased' });
  await updatePerson(services, person.id, { isOperator: true });
  const operator = await createOperatorKey(services, { name: 'of Marie Erased', personId: person.id });
  await createApiKey(services, team.id, {
    name: 'Marie Erased’s laptop',
    role: 'member',
    personId: person.id,
  });
  const by = { keyId: null, personId: person.id };
  const left = await createInvitation(services, team.id, { email: null, role: 'member' }, by);
  const open = await createInvitation(services, team.id, { email, role: 'member' }, null);
  const limits = { seconds: 600, idleSeconds: 600, keyLapseDays: 0 };
  await createKeySession(services, key, limits, 'the browser of Marie Erased');
  await services.sql.query(
    `INSERT INTO person_identities (issuer, subject, person_id) VALUES ('https://login', 'marie-erased', $1)`,
    [person.id],
  );
  await services.sql.query(
    `INSERT INTO scim_users (person_id, user_name, user_name_key, attributes) VALUES ($1, 'marie.erased', 'marie.erased', '{}')`,
    [person.id],
  );

  assert.equal(await erasePerson(services, 'user-none'), false);
  assert.equal(await erasePerson(services, person.id), true);
  assert.equal(await erasePerson(services, person.id), false);
  assert.equal(await verifyApiKey(services, `Bearer ${key}`), null);
  assert.equal(await verifyKey(services, `Bearer ${operator.key}`), null);
  await assert.rejects(acceptInvitation(services, left.token, { email: 'x@example.com' }), {
    code: 'invalid_invitation',
  });
  await assert.rejects(acceptInvitation(services, open.token, {}), { code: 'person_disabled' });
  assert.equal(await getMember(services, team.id, person.id), null);
  assert.equal(await updatePerson(services, person.id, { isDisabled: false }), null);
  const erased = (await findPerson(services, person.id))!;
  assert.deepEqual(
    [erased.name, erased.email, erased.isOperator],
    ['Erased person', `${person.id.toLowerCase()}@erased.invalid`, false],
  );
  assert.ok(erased.disabledAt && erased.erasedAt);

  const { rows: tables } = await services.sql.query<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`,
  );
  for (const { name } of tables) {
    const { rows } = await services.sql.query(
      `SELECT t::text AS row FROM ${name} t WHERE t::text ~* 'marie.?erased'`,
    );
    assert.deepEqual(rows, [], name);
  }
  // The person's actions remain, under the id.
  const audit = await services.db.auditEntry.findMany({ where: { personId: person.id } });
  assert.ok(audit.some(({ target }) => target === keyId));
  // The email is free again: its next user is another person.
  const next = await createPerson(services, { email, name: 'Another' });
  assert.notEqual(next.id, person.id);
});

describe('members', () => {
  let team: TestTeam;
  let admin: PersonRecord;
  before(async () => {
    team = await createTestTeam(services);
    admin = await newPerson();
    await putMember(services, team.id, admin.id, 'admin');
  });

  test('are listed by the page, and are of their team alone', async () => {
    const member = await newPerson();
    await putMember(services, team.id, member.id, 'viewer');
    const first = await listMembers(services, team.id, { limit: 1 });
    assert.deepEqual([first.data[0]!.personId, first.hasMore], [admin.id, true]);
    const second = await listMembers(services, team.id, { limit: 1, after: admin.id });
    assert.deepEqual([second.data[0]!.personId, second.hasMore], [member.id, false]);
    const other = await createTestTeam(services);
    await assert.rejects(listMembers(services, other.id, { limit: 1, after: admin.id }), {
      code: 'invalid_cursor',
    });
    assert.equal(await getMember(services, other.id, admin.id), null);
    assert.equal(await setMemberRole(services, other.id, admin.id, 'viewer', null), null);
    assert.equal(await removeMember(services, other.id, admin.id, null), null);
    assert.equal(await putMember(services, 'team-none', admin.id, 'admin'), null);
  });

  test('the last admin stays, and somebody disabled is none', async () => {
    const { id } = admin;
    await assert.rejects(removeMember(services, team.id, id, null), { code: 'last_admin' });
    await assert.rejects(setMemberRole(services, team.id, id, 'member', null), { code: 'last_admin' });
    assert.equal((await setMemberRole(services, team.id, id, 'admin', null))!.role, 'admin');
    const second = await newPerson();
    await putMember(services, team.id, second.id, 'admin');
    await updatePerson(services, second.id, { isDisabled: true });
    await assert.rejects(removeMember(services, team.id, id, null), { code: 'last_admin' });
    await updatePerson(services, second.id, { isDisabled: false });
    assert.ok(await removeMember(services, team.id, second.id, null));
  });

  test('who is removed leaves a list of the keys that they made and that still work', async () => {
    const { id } = await newPerson();
    await putMember(services, team.id, id, 'admin');
    const signedIn = {
      teamId: team.id,
      teamName: team.name,
      role: 'admin',
      scopes: null,
      models: null,
    } as const;
    const session: Identity = { ...signedIn, expiresAt: null, keyId: null, personId: id };
    const make = async (by: Identity, personId: string | null = null) =>
      await createApiKey(services, team.id, { name: 'x', role: 'admin', personId, by });
    const own = await make(session, id);
    const teamKey = await make((await verifyApiKey(services, `Bearer ${own.key}`))!);
    const further = await make((await verifyApiKey(services, `Bearer ${teamKey.key}`))!);
    const bySession = await make(session);
    const gone = await make(session);
    await revokeApiKey(services, team.id, gone.keyId);
    const removed = (await removeMember(services, team.id, id, null))!;
    assert.deepEqual(removed.keysLeft, [teamKey, further, bySession].map(({ keyId }) => keyId).toSorted());
    assert.equal(await verifyApiKey(services, `Bearer ${own.key}`), null);
  });

  test('of twenty admins who remove and demote each other at once, one stays', async () => {
    const crowd = await createTestTeam(services);
    const admins = await Promise.all(Array.from({ length: 20 }, newPerson));
    for (const { id } of admins) await putMember(services, crowd.id, id, 'admin');
    const outcomes = await Promise.allSettled(
      admins.map(async ({ id }, i) =>
        i % 2
          ? await removeMember(services, crowd.id, id, null)
          : await setMemberRole(services, crowd.id, id, 'viewer', null),
      ),
    );
    const refused = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason.code] : []));
    assert.deepEqual(refused, ['last_admin']);
    const { data } = await listMembers(services, crowd.id, { limit: 100 });
    assert.equal(data.filter(({ role }) => role === 'admin').length, 1);
  });
});

describe('invitations', () => {
  let team: TestTeam;
  before(async () => {
    team = await createTestTeam(services);
  });

  const invite = async (input: Partial<Parameters<typeof createInvitation>[2]> = {}) =>
    await createInvitation(services, team.id, { email: null, role: 'member', ...input }, null);

  test('one link makes a person, a member and a key, once', async () => {
    const { invitation, token } = await invite({ email: 'Grace@Example.com', role: 'viewer' });
    assert.match(token, /^graft_invite_[0-9A-Za-z]{12}_[0-9A-Za-z]{40}$/);
    const accept = () => acceptInvitation(services, token, {});
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, accept));
    const [accepted, ...more] = outcomes.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    assert.equal(more.length, 0);
    for (const each of outcomes)
      if (each.status === 'rejected') assert.equal(each.reason.code, 'invalid_invitation');
    assert.deepEqual(
      [accepted!.person.email, accepted!.person.name, accepted!.role, accepted!.teamName],
      ['grace@example.com', 'grace', 'viewer', team.name],
    );
    const identity = (await verifyApiKey(services, `Bearer ${accepted!.key}`))!;
    assert.deepEqual([identity.personId, identity.role], [accepted!.person.id, 'viewer']);
    const { data } = await listInvitations(services, team.id, { limit: 1 });
    assert.deepEqual([data[0]!.id, data[0]!.acceptedBy], [invitation.id, accepted!.person.id]);
    assert.ok(!JSON.stringify(data).includes(token.split('_')[3]!));
    assert.deepEqual(await actions(invitation.id), ['invitation.create', 'invitation.accept']);
  });

  test('a link for nobody in particular asks for an email; one for somebody takes no other', async () => {
    const open = await invite();
    await assert.rejects(acceptInvitation(services, open.token, {}), {
      code: 'missing_required_parameter',
      param: 'email',
    });
    const bound = await invite({ email: 'me@example.com' });
    await assert.rejects(acceptInvitation(services, bound.token, { email: 'you@example.com' }), {
      code: 'wrong_invitation_email',
    });
    await acceptInvitation(services, bound.token, { email: 'ME@example.com', name: 'Me' });
    const { person } = await acceptInvitation(services, open.token, { email: 'open@example.com' });
    assert.equal(person.email, 'open@example.com');
  });

  test('a member keeps their role, and gets no key by another’s link', async () => {
    const admin = await newPerson();
    await putMember(services, team.id, admin.id, 'admin');
    const { token } = await invite({ role: 'viewer' });
    await assert.rejects(acceptInvitation(services, token, { email: admin.email }), {
      code: 'already_member',
    });
    assert.equal((await getMember(services, team.id, admin.id))!.role, 'admin');
    assert.equal(await services.db.apiKey.count({ where: { personId: admin.id } }), 0);
    // The rejected attempt did not use up the invitation.
    assert.ok(await acceptInvitation(services, token, { email: 'another@example.com' }));
  });

  test('wrong, revoked, too old, of another pepper, of a disabled maker: all alike', async () => {
    const refused = async (token: string) =>
      await assert.rejects(acceptInvitation(services, token, { email: 'x@example.com' }), {
        code: 'invalid_invitation',
        message: /wrong, was used or revoked, or is too old/,
      });
    const { token, invitation } = await invite();
    await refused('');
    await refused(token.replace(/.$/, (c) => (c === 'a' ? 'b' : 'a')));
    await refused(`graft_invite_unknownunkno_${token.split('_')[3]}`);
    await refused(team.key);
    const stranger = await createTestTeam(services);
    assert.equal(await revokeInvitation(services, stranger.id, invitation.id, null), false);
    assert.equal(await revokeInvitation(services, team.id, invitation.id, null), true);
    assert.equal(await revokeInvitation(services, team.id, invitation.id, null), false);
    await refused(token);
    const old = await invite();
    await services.sql.query('UPDATE invitations SET expires_at = now() WHERE id = $1', [old.invitation.id]);
    await refused(old.token);
    const maker = await newPerson();
    const by = { keyId: null, personId: maker.id };
    const theirs = await createInvitation(services, team.id, { email: null, role: 'member' }, by);
    await updatePerson(services, maker.id, { isDisabled: true });
    await refused(theirs.token);
    await updatePerson(services, maker.id, { isDisabled: false });
    await acceptInvitation(services, theirs.token, { email: 'x@example.com' });
    const gone = await invite();
    await updatePerson(services, (await findPerson(services, 'x@example.com'))!.id, { isDisabled: true });
    await removeMember(services, team.id, (await findPerson(services, 'x@example.com'))!.id, null);
    await assert.rejects(acceptInvitation(services, gone.token, { email: 'x@example.com' }), {
      code: 'person_disabled',
    });
  });

  test('links end with the power of their creator', async () => {
    for (const end of ['remove', 'demote', 'revoke'] as const) {
      const person = await newPerson();
      await putMember(services, team.id, person.id, 'admin');
      const { keyId, key } = await createApiKey(services, team.id, {
        name: 'x',
        role: 'admin',
        personId: end === 'revoke' ? null : person.id,
      });
      const by = (await verifyApiKey(services, `Bearer ${key}`)) as Identity;
      const { token } = await createInvitation(services, team.id, { email: null, role: 'admin' }, by);
      const other = await newPerson();
      await putMember(services, team.id, other.id, 'admin');
      if (end === 'remove') await removeMember(services, team.id, person.id, null);
      if (end === 'demote') await setMemberRole(services, team.id, person.id, 'member', null);
      if (end === 'revoke') await revokeApiKey(services, team.id, keyId);
      await assert.rejects(
        acceptInvitation(services, token, { email: `${end}@example.com` }),
        { code: 'invalid_invitation' },
        end,
      );
    }
  });

  test('a limited key neither invites nor promotes', async () => {
    const { key } = await createApiKey(services, team.id, {
      name: 'x',
      role: 'admin',
      scopes: ['team:write'],
    });
    const by = (await verifyApiKey(services, `Bearer ${key}`)) as Identity;
    await assert.rejects(createInvitation(services, team.id, { email: null, role: 'viewer' }, by), {
      code: 'exceeds_maker',
    });
    const member = await newPerson();
    await putMember(services, team.id, member.id, 'member');
    await assert.rejects(setMemberRole(services, team.id, member.id, 'admin', by), { code: 'exceeds_maker' });
    assert.equal((await setMemberRole(services, team.id, member.id, 'viewer', by))!.role, 'viewer');
  });

  test('no team has more than 500 that can be accepted', async () => {
    const full = await createTestTeam(services);
    await services.sql.query(
      `INSERT INTO invitations (id, team_id, role, token_hmac, expires_at)
       SELECT 'invite_' || n, $1, 'viewer', '\\x00', now() + interval '1 day' FROM generate_series(1, 500) n`,
      [full.id],
    );
    const again = () => createInvitation(services, full.id, { email: null, role: 'viewer' }, null);
    await assert.rejects(again, { code: 'too_many_invitations' });
    await revokeInvitation(services, full.id, 'invite_7', null);
    await again();
  });
});
