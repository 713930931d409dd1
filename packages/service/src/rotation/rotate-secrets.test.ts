import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { graftAdmin } from '../audit/actor.ts';
import { putIntegration } from '../integrations/manage-integrations.ts';
import { createApiKey } from '../keys/create-api-key.ts';
import { createOperatorKey } from '../keys/operator-keys.ts';
import { verifyApiKey, verifyKey } from '../keys/verify-api-key.ts';
import { acceptInvitation, createInvitation } from '../people/invitations.ts';
import { unseal } from '../secrets/sealed-secret.ts';
import { loadSecrets } from '../secrets/secrets.ts';
import type { Services } from '../services.ts';
import { createKeySession } from '../sessions/create-session.ts';
import { verifySession } from '../sessions/verify-session.ts';
import { createTestTeam } from '../testing/job-fixtures.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { createWebhook } from '../webhooks/manage-endpoints.ts';
import { sealedForWebhook } from '../webhooks/seal-secret.ts';
import { dropSecret, rotateSecrets } from './rotate-secrets.ts';
import { countUses, readSecretUses } from './secret-uses.ts';

let services: Services;
let team: Awaited<ReturnType<typeof createTestTeam>>;
const by = graftAdmin;
const limits = { seconds: 3600, idleSeconds: 3600 };
before(async () => {
  services = await openTestServices();
  team = await createTestTeam(services);
});
after(async () => await services.close());

/** Simulates another process on the same data folder. */
const another = async (): Promise<Services> => ({ ...services, secrets: await loadSecrets(services.env) });
const uses = async () => {
  const all = await readSecretUses(services);
  return Object.fromEntries(all.map((use) => [`${use.setting} ${use.version} ${use.state}`, countUses(use)]));
};

test('rotated by several at once and again: one new version, nothing stops working, and the old one is dropped when unused', async () => {
  const { endpoint, secret } = await createWebhook(
    services,
    team.id,
    { url: 'https://example.com/', description: null, events: ['fine_tuning.job.succeeded'] },
    by,
  );
  await putIntegration(services, team.id, 'wandb', { secret: 'a key of wandb' }, by);
  const { key } = await createApiKey(services, team.id, { name: 'k', role: 'admin' });
  const operator = await createOperatorKey(services, { name: 'o' });
  const session = (await createKeySession(services, key, limits, 'a browser'))!;
  const { token } = await createInvitation(
    services,
    team.id,
    { email: 'new@example.com', role: 'member' },
    null,
  );
  const running = await another();
  const [a, b] = await Promise.all([rotateSecrets(await another()), rotateSecrets(await another())]);
  assert.equal(a.resealed + b.resealed, 2);
  assert.equal(a.unreadable + b.unreadable, 0);
  const repeated = await rotateSecrets(services);
  assert.deepEqual(repeated, { made: [], toSet: [], resealed: 0, unreadable: 0 });
  assert.equal(services.secrets.pepper.current.version, 2);

  const row = await services.db.webhookSecret.findFirstOrThrow({ where: { endpointId: endpoint.id } });
  assert.equal(row.sealedBy, 'pepper:2');
  const opened = await unseal(running.secrets, sealedForWebhook(row), row);
  assert.equal(opened, secret, 'a process that was there before has read the new version');
  await assert.rejects(dropSecret(services, 'pepper', 1), { code: 'secret_in_use' });
  await assert.rejects(dropSecret(services, 'pepper', 2), { code: 'secret_in_use' });

  for (const process of [services, running]) {
    assert.ok(await verifyApiKey(process, `Bearer ${key}`));
    assert.equal((await verifyKey(process, `Bearer ${operator.key}`))?.kind, 'operator');
    assert.ok(await verifySession(process, session.token, limits, null));
  }
  // Version 1 is still needed by the invitation and by the test team's own key, which no request has used.
  assert.deepEqual(await uses(), { 'GRAFT_PEPPER 2 current': 5, 'GRAFT_PEPPER 1 held': 2 });
  await acceptInvitation(services, token, { name: 'New' });
  assert.ok(await verifyApiKey(services, `Bearer ${team.key}`));
  assert.deepEqual(await uses(), { 'GRAFT_PEPPER 2 current': 7, 'GRAFT_PEPPER 1 held': 0 });
  await dropSecret(services, 'pepper', 1);
  const late = await another();
  assert.deepEqual(
    late.secrets.pepper.versions.map(({ version }) => version),
    [2],
  );
  assert.ok(await verifyApiKey(late, `Bearer ${key}`));
  assert.ok(await verifySession(late, session.token, limits, null));
  const audited = await services.db.auditEntry.findMany({
    where: { target: 'GRAFT_PEPPER' },
    select: { action: true, detail: true },
  });
  assert.ok(audited.some(({ action }) => action === 'secret.drop'));
  assert.ok(!JSON.stringify(audited).includes(late.secrets.pepper.current.secret));
});

test('killed between the new version and the rows it continues; what no version opens is counted', async () => {
  const file = (version: number) => path.join(services.env.dataDir, `secrets/pepper.${version}`);
  // The state after a process is killed before it has written the first row.
  await writeFile(file(3), 'a-version-without-rows');
  const { made, resealed } = await rotateSecrets(services);
  assert.deepEqual([made, resealed], [[], 2]);
  await services.sql.query("UPDATE webhook_secrets SET sealed_by = 'pepper:2'");
  assert.equal((await rotateSecrets(services)).unreadable, 1);
  const [webhooks, keys] = [(await uses())['GRAFT_PEPPER 2 held'], await services.db.apiKey.count()];
  assert.equal(webhooks, keys + 3, 'the webhook, the keys, the key of the operator and the session');
  await dropSecret(services, 'pepper', 2, { force: true });
  assert.equal((await uses())['GRAFT_PEPPER 2 absent'], webhooks);
  assert.equal(await verifyApiKey(services, `Bearer ${team.key}`), null);
});

test('a ring of the environment is not changed: what to set is returned, and its first version seals', async () => {
  const secret = services.secrets.pepper.current.secret;
  const environmentWith = async (pepper: string, sealingKey?: string) => ({
    ...services,
    secrets: await loadSecrets({ ...services.env, pepper, sealingKey }),
  });
  const one = await environmentWith(`3:${secret}`);
  const { made, toSet } = await rotateSecrets(one);
  assert.deepEqual(made, []);
  assert.deepEqual([toSet[0]!.setting, toSet[0]!.version], ['GRAFT_PEPPER', 4]);
  assert.notEqual(toSet[0]!.secret, secret);
  await assert.rejects(dropSecret(one, 'pepper', 3), { code: 'secret_version_not_found' });
  const apart = await environmentWith(`3:${secret}`, '1:a-key-that-only-seals');
  await rotateSecrets(apart);
  const row = await services.db.integration.findFirstOrThrow({ where: { teamId: team.id } });
  assert.equal(row.sealedBy, 'sealing:1');
  await assert.rejects(
    unseal(one.secrets, sealedForWebhook({ teamId: '', endpointId: '', id: '' }), {
      ...row,
      sealed: row.sealed!,
    }),
    { code: 'secrets_outdated', message: /GRAFT_SEALING_KEY/ },
  );
});
