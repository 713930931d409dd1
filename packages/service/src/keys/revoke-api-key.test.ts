/** Revoking a stolen key also ends everything that was made with it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { acceptInvitation, createInvitation } from '../people/invitations.ts';
import { putMember } from '../people/memberships.ts';
import { createPerson } from '../people/person-records.ts';
import type { Services } from '../services.ts';
import { createTestTeam, type TestTeam } from '../testing/job-fixtures.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { createWebhook, getWebhook } from '../webhooks/manage-endpoints.ts';
import { createApiKey, type NewApiKey } from './create-api-key.ts';
import { createOperatorKey, revokeOperatorKey } from './operator-keys.ts';
import { revokeApiKey } from './revoke-api-key.ts';
import { rotateApiKey } from './rotate-api-key.ts';
import { type Identity, type Operator, verifyApiKey, verifyKey } from './verify-api-key.ts';

let services: Services;
let team: TestTeam;
before(async () => {
  services = await openTestServices({ role: 'admin', env: { GRAFT_WEBHOOK_ALLOW: '127.0.0.1' } });
  team = await createTestTeam(services);
});
after(async () => await services?.close());

interface Key {
  id: string;
  key: string;
  identity: Identity;
}

async function make(by?: Identity, input: Partial<NewApiKey> = {}): Promise<Key> {
  const { key, keyId } = await createApiKey(services, team.id, { name: 'x', role: 'admin', by, ...input });
  return { id: keyId, key, identity: (await verifyApiKey(services, `Bearer ${key}`))! };
}

const works = async ({ key }: { key: string }) => (await verifyApiKey(services, `Bearer ${key}`)) !== null;

async function join() {
  const { id } = await createPerson(services, { email: `${Math.random()}@example.com`, name: 'P' });
  await putMember(services, team.id, id, 'admin');
  return id;
}

const invite = async (by: Identity | Operator) =>
  await createInvitation(services, team.id, { email: null, role: 'admin' }, by);
const accept = async (token: string) =>
  await acceptInvitation(services, token, { email: `${Math.random()}@example.com` });

test('a key of a person takes with it what it made: keys, theirs, invitations and webhooks', async () => {
  const personId = await join();
  const other = await make(undefined, { personId });
  const stolen = await make(undefined, { personId });
  const child = await make(stolen.identity, { personId });
  const teamKey = await make(stolen.identity);
  const grandchild = await make(teamKey.identity);
  const open = await invite(stolen.identity);
  const deep = await invite(grandchild.identity);
  const used = await invite(child.identity);
  const joined = await accept(used.token);
  const { endpoint } = await createWebhook(
    services,
    team.id,
    { url: 'http://127.0.0.1:9/', description: null, events: ['fine_tuning.job.succeeded'] },
    teamKey.identity,
  );

  const revoked = (await revokeApiKey(services, team.id, stolen.id))!;
  const keys = [stolen, child, teamKey, grandchild];
  assert.equal(revoked.keys[0], stolen.id);
  assert.deepEqual(revoked.keys.toSorted(), keys.map(({ id }) => id).toSorted());
  assert.deepEqual(revoked.invitations.toSorted(), [open.invitation.id, deep.invitation.id].toSorted());
  assert.deepEqual([revoked.exits.webhook, revoked.kept], [[endpoint.id], []]);
  assert.deepEqual(revoked.members, [joined.person.id]);
  for (const key of keys) assert.equal(await works(key), false);
  for (const { token } of [open, deep]) await assert.rejects(accept(token), { code: 'invalid_invitation' });
  assert.ok((await getWebhook(services, team.id, endpoint.id))!.disabledAt);
  assert.ok(await works(other));
});

test('descendants are kept on request, and end by asking again', async () => {
  const parent = await make();
  const child = await make(parent.identity);
  const kept = (await revokeApiKey(services, team.id, parent.id, { by: null, descendants: 'keep' }))!;
  assert.deepEqual([kept.keys, kept.kept], [[parent.id], [child.id]]);
  assert.ok(await works(child));
  const again = (await revokeApiKey(services, team.id, parent.id))!;
  assert.deepEqual([again.keys, again.kept], [[child.id], []]);
});

test('rotation keeps the tree: neither a successor nor a predecessor of a descendant survives', async () => {
  const parent = await make();
  const child = await make(parent.identity);
  const grandchild = await make(child.identity);
  const operator = { overlap: 3600, by: null };
  const rotated = (await rotateApiKey(services, team.id, child.id, operator))!;
  const other = (await rotateApiKey(services, team.id, rotated.keyId, operator))!;
  const revoked = (await revokeApiKey(services, team.id, parent.id))!;
  assert.deepEqual(
    revoked.keys.toSorted(),
    [parent.id, child.id, grandchild.id, rotated.keyId, other.keyId].toSorted(),
  );
});

test('the successor that somebody else made outlives the key; one that the key made itself does not', async () => {
  const old = await make();
  const child = await make(old.identity);
  const byOther = (await rotateApiKey(services, team.id, old.id, { overlap: 3600, by: null }))!;
  assert.deepEqual((await revokeApiKey(services, team.id, old.id))!.keys, [old.id, child.id]);
  assert.ok(await works(byOther));
  const self = await make();
  const byItself = (await rotateApiKey(services, team.id, self.id, { overlap: 3600, by: self.identity }))!;
  assert.deepEqual((await revokeApiKey(services, team.id, self.id))!.keys, [self.id, byItself.keyId]);
  const before = await make();
  const made = await make(before.identity);
  const after = (await rotateApiKey(services, team.id, before.id, { overlap: 3600, by: null }))!;
  const ended = (await revokeApiKey(services, team.id, after.keyId))!;
  assert.deepEqual(ended.keys.toSorted(), [after.keyId, before.id, made.id].toSorted());
});

test('a member who is no admin ends only their own, and learns what is left', async () => {
  const [ada, ben] = [await join(), await join()];
  const root = await make(undefined, { personId: ada });
  const own = await make(root.identity, { personId: ada });
  const others = await make(root.identity, { personId: ben });
  const teamKey = await make(root.identity);
  const reach = { role: 'member' as const, personId: ada };
  const by = root.identity;
  const revoked = (await revokeApiKey(services, team.id, root.id, { by, descendants: 'revoke', reach }))!;
  assert.deepEqual(revoked.keys, [root.id, own.id]);
  assert.deepEqual(revoked.kept, [others.id, teamKey.id].toSorted());
});

test('of a key that makes keys and invitations while it is revoked nothing is left', async () => {
  for (let round = 0; round < 5; round++) {
    const stolen = await make();
    const made: Promise<{ key: string } | { token: string }>[] = [];
    const by = stolen.identity;
    for (let i = 0; i < 6; i++) {
      made.push(
        createApiKey(services, team.id, { name: 'x', role: 'admin', by }).then(async (first) => {
          const identity = await verifyApiKey(services, `Bearer ${first.key}`);
          if (!identity) return first;
          return await createApiKey(services, team.id, { name: 'x', role: 'admin', by: identity });
        }),
        invite(by),
      );
    }
    const [outcomes] = await Promise.all([
      Promise.allSettled(made),
      revokeApiKey(services, team.id, stolen.id),
    ]);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') assert.equal(outcome.reason.code, 'invalid_api_key');
      else if ('key' in outcome.value) assert.equal(await works(outcome.value), false);
      else await assert.rejects(accept(outcome.value.token), { code: 'invalid_invitation' });
    }
    const left = await services.db.apiKey.count({ where: { madeByKey: stolen.id, revokedAt: null } });
    assert.equal(left, 0);
  }
});

test('a key of the operator takes its keys and its invitations into every team with it', async () => {
  const operatorOf = async (key: string) =>
    ((await verifyKey(services, `Bearer ${key}`)) as { operator: Operator }).operator;
  const root = await createOperatorKey(services, { name: 'root' });
  const child = await createOperatorKey(services, { name: 'child' }, await operatorOf(root.key));
  const { token } = await invite(await operatorOf(child.key));
  assert.deepEqual(await revokeOperatorKey(services, root.record.id), [root.record.id, child.record.id]);
  assert.equal(await verifyKey(services, `Bearer ${child.key}`), null);
  await assert.rejects(accept(token), { code: 'invalid_invitation' });
});

test('a key that made more keys than a query has parameters ends with all of them, and reaches no other team’s', async () => {
  const [stolen, other] = [await make(), await createTestTeam(services)];
  await services.sql.query(
    `INSERT INTO api_keys (id, team_id, name, role, secret_hmac, made_by_key)
     SELECT 'many' || i, $1, 'x', 'admin', sha256('x'), $2 FROM generate_series(1, 33000) i`,
    [team.id, stolen.id],
  );
  await services.sql.query(
    `INSERT INTO api_keys (id, team_id, name, role, secret_hmac, made_by_key)
     VALUES ('elsewhere', $1, 'x', 'admin', sha256('x'), $2)`,
    [other.id, stolen.id],
  );
  // After ANALYZE, Postgres's planner expects this number of child keys for every key.
  await services.sql.query('ANALYZE api_keys');
  const kept = (await revokeApiKey(services, team.id, stolen.id, { by: null, descendants: 'keep' }))!;
  assert.deepEqual([kept.keys, kept.kept.length], [[stolen.id], 1000]);
  const revoked = (await revokeApiKey(services, team.id, stolen.id))!;
  assert.deepEqual([revoked.keys.length, revoked.kept], [1000, []]);
  const left = await services.db.apiKey.findMany({ where: { madeByKey: stolen.id, revokedAt: null } });
  assert.deepEqual(
    left.map(({ id }) => id),
    ['elsewhere'],
  );
});
