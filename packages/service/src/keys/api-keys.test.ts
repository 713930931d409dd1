import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { loadServiceEnv } from '../environment/env.ts';
import { parseApiKey } from '../secrets/api-key.ts';
import { SecretRing, type SecretVersion } from '../secrets/secret-ring.ts';
import type { Services } from '../services.ts';
import { ensureBootstrapKey } from '../teams/ensure-bootstrap-key.ts';
import { createTeam, findTeam, type Team } from '../teams/team-records.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { createApiKey } from './create-api-key.ts';
import { listApiKeys } from './manage-api-keys.ts';
import { revokeApiKey } from './revoke-api-key.ts';
import { verifyApiKey } from './verify-api-key.ts';

let services: Services;
let team: Team;
before(async () => {
  services = await openTestServices({ role: 'admin' });
});
after(async () => await services.close());

test('the first key is made once, also when several start together, and shown once', async () => {
  const keys = await Promise.all([1, 2, 3].map(() => ensureBootstrapKey(services)));
  const shown = keys.filter((key) => key !== null);
  assert.equal(shown.length, 1);
  assert.equal(await ensureBootstrapKey(services), null);
  const identity = await verifyApiKey(services, `Bearer ${shown[0]}`);
  assert.deepEqual([identity!.teamName, identity!.role], ['default', 'admin']);
  assert.equal(await services.db.team.count(), 1);
});

test('GRAFT_BOOTSTRAP_KEY is made sure of, whatever keys exist, and never shown', async () => {
  const key = `graft_automation_${'s3cret'.repeat(6)}`;
  const env = loadServiceEnv({ GRAFT_BOOTSTRAP_KEY: key });
  assert.equal(await ensureBootstrapKey({ ...services, env }), null);
  assert.equal((await verifyApiKey(services, `Bearer ${key}`))!.keyId, 'automation');
  assert.equal(await ensureBootstrapKey({ ...services, env }), null);
});

test('teams have names that fit into model names, each once', async () => {
  team = await createTeam(services, { name: 'data-science', runningLimit: 3 });
  assert.deepEqual([team.runningLimit, (await createTeam(services, { name: 'x' })).runningLimit], [3, 8]);
  for (const name of ['', 'Data', 'a:b', '-a', 'a-', 'a b', 'a'.repeat(41)]) {
    await assert.rejects(createTeam(services, { name }), { code: 'invalid_team_name', param: 'name' });
  }
  await assert.rejects(createTeam(services, { name: 'data-science' }), { code: 'team_exists' });
  assert.deepEqual(await findTeam(services, 'data-science'), team);
  assert.deepEqual(await findTeam(services, team.id), team);
  assert.equal(await findTeam(services, 'nobody'), null);
});

test('a key is verified, and only by its whole self', async () => {
  const { key, keyId } = await createApiKey(services, team.id, { name: 'mine', role: 'member' });
  assert.match(key, /^graft_[0-9A-Za-z]{12}_[0-9A-Za-z]{40}$/);
  const expected = {
    teamId: team.id,
    teamName: 'data-science',
    keyId,
    role: 'member',
    scopes: null,
    models: null,
    personId: null,
    expiresAt: null,
  };
  assert.deepEqual(await verifyApiKey(services, `Bearer ${key}`), expected);
  assert.deepEqual(await verifyApiKey(services, `bearer  ${key}`), expected);
  const wrong = key.endsWith('a') ? `${key.slice(0, -1)}b` : `${key.slice(0, -1)}a`;
  for (const header of [
    undefined,
    '',
    key,
    `Basic ${key}`,
    'Bearer',
    `Bearer ${wrong}`,
    `Bearer ${key}x`,
    `Bearer graft_unknownunknown_${parseApiKey(key)!.secret}`,
    `Bearer graft_${keyId}_`,
    "Bearer graft_'; DROP TABLE teams; --_x",
  ]) {
    assert.equal(await verifyApiKey(services, header), null, header);
  }
});

test('of a secret only an HMAC under the pepper is kept', async () => {
  const { key, keyId } = await createApiKey(services, team.id, { name: 'mine', role: 'viewer' });
  const row = await services.db.apiKey.findUniqueOrThrow({ where: { id: keyId } });
  assert.equal(row.secretHmac.length, 32);
  const { secret } = parseApiKey(key)!;
  assert.ok(
    !JSON.stringify({ ...row, secretHmac: Buffer.from(row.secretHmac).toString('latin1') }).includes(secret),
  );
  const otherPepper = {
    ...services,
    secrets: {
      ...services.secrets,
      pepper: new SecretRing('pepper', [{ version: 1, secret: 'another pepper' }]),
    },
  };
  assert.equal(await verifyApiKey(otherPepper, `Bearer ${key}`), null);
});

test('a key outlives the pepper that it was made by, if it is used while the two overlap', async () => {
  const old = services.secrets.pepper.current;
  const fresh = { version: 2, secret: 'a pepper that came later' };
  const by = (...versions: SecretVersion[]) => ({
    ...services,
    secrets: { ...services.secrets, pepper: new SecretRing('pepper', versions) },
  });
  const make = async () => (await createApiKey(services, team.id, { name: 'long', role: 'viewer' })).key;
  const [used, unused] = [`Bearer ${await make()}`, `Bearer ${await make()}`];
  const [prepared, both, after] = [by(old, fresh), by(fresh, old), by(fresh)];
  assert.ok(await verifyApiKey(prepared, used));
  assert.ok(await verifyApiKey(by(old), used), 'a version that is prepared only is not used');
  assert.ok(await verifyApiKey(both, used));
  assert.ok(await verifyApiKey(after, used), 'stored by the new version at its first use');
  assert.ok(await verifyApiKey(prepared, used), 'and not stored by the old one again');
  assert.ok(await verifyApiKey(after, used));
  assert.equal(await verifyApiKey(after, unused), null, 'one of a version that was dropped');
  await assert.rejects(verifyApiKey(by(old), used), {
    code: 'secrets_outdated',
    message: /version 2 of GRAFT_PEPPER/,
  });
});

test('a revoked key stops at once; keys of other teams are out of reach', async () => {
  const { key, keyId } = await createApiKey(services, team.id, { name: 'brief', role: 'admin' });
  const stranger = await createTeam(services, { name: 'stranger' });
  assert.equal(await revokeApiKey(services, stranger.id, keyId), null);
  assert.ok(await verifyApiKey(services, `Bearer ${key}`));
  assert.deepEqual((await revokeApiKey(services, team.id, keyId))!.keys, [keyId]);
  assert.equal(await verifyApiKey(services, `Bearer ${key}`), null);
  assert.deepEqual((await revokeApiKey(services, team.id, keyId))!.keys, []);
  const { data } = await listApiKeys(services, team.id, { limit: 100 });
  const listed = data.find(({ id }) => id === keyId);
  assert.ok(listed!.revokedAt && listed!.lastUsedAt);
  assert.ok(!JSON.stringify(listed).includes(parseApiKey(key)!.secret));
  const actions = await services.db.auditEntry.findMany({ where: { target: keyId }, orderBy: { id: 'asc' } });
  assert.deepEqual(
    actions.map(({ action }) => action),
    ['api_key.create', 'api_key.revoke'],
  );
});

test('keys of the wrong shape, for no team, or taken are refused', async () => {
  const make = (teamId: string, key?: string) =>
    createApiKey(services, teamId, { name: 'n', role: 'admin', key });
  await assert.rejects(make(team.id, 'password'), { code: 'invalid_api_key' });
  await assert.rejects(make('team-nope'), { code: 'team_not_found' });
  await assert.rejects(make(team.id, `graft_automation_${'x'.repeat(40)}`), { code: 'api_key_exists' });
});
