/** Exits to others' servers that a key made end with the key, at most after the request that is under way. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { graftAdmin } from '../audit/actor.ts';
import { getDeployTarget, updateDeployTarget } from '../deploy/manage-targets.ts';
import { startDeploySender } from '../deploy/send/deploy-sender.ts';
import {
  addTarget,
  publishVersion,
  quick as quickTargets,
  sharedFolder,
  tag,
} from '../deploy/testing/deployed-adapter.ts';
import { getIntegration, putIntegration } from '../integrations/manage-integrations.ts';
import { startIntegrationSender } from '../integrations/send/integration-sender.ts';
import {
  quick as quickMetrics,
  startMetricJob,
  trainSteps,
  untilSent,
} from '../integrations/testing/metric-job.ts';
import { putMember, removeMember } from '../people/memberships.ts';
import { createPerson } from '../people/person-records.ts';
import { createPublication, getPublication } from '../publications/manage-publications.ts';
import { setPublishingRules } from '../publications/publishing-rules.ts';
import { startPublicationSender } from '../publications/send/publication-sender.ts';
import { quick as quickPublications } from '../publications/testing/quick.ts';
import type { Services } from '../services.ts';
import { createTestTeam, type TestTeam } from '../testing/job-fixtures.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { startWebhookSender } from '../webhooks/deliver/webhook-sender.ts';
import { testWebhook } from '../webhooks/deliveries.ts';
import { createWebhook, getWebhook, updateWebhook } from '../webhooks/manage-endpoints.ts';
import { createApiKey } from './create-api-key.ts';
import { listExits } from './list-exits.ts';
import { previewRevocation, revokeApiKey } from './revoke-api-key.ts';
import { rotateApiKey } from './rotate-api-key.ts';
import { type Identity, verifyApiKey } from './verify-api-key.ts';

let services: Services;
let shared: string;
let team: TestTeam;
const asked: string[] = [];
const server = createServer((request, response) => {
  asked.push(`${request.method} ${request.url}`);
  request.resume();
  response.end('{}');
});
let url: string;

before(async () => {
  shared = await sharedFolder();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://exit.test:${(server.address() as AddressInfo).port}`;
  services = await openTestServices({
    role: 'admin',
    env: {
      GRAFT_WEBHOOK_ALLOW: '127.0.0.1,exit.test',
      GRAFT_INTEGRATION_ALLOW: '127.0.0.1,exit.test',
      GRAFT_DEPLOY_ALLOW: '*=127.0.0.1:*,*=exit.test:*',
      GRAFT_DEPLOY_FOLDER: shared,
      HF_ENDPOINT: url,
    },
  });
});
beforeEach(async () => {
  team = await createTestTeam(services);
});
after(async () => {
  await services?.close();
  server.close();
  await rm(shared, { recursive: true, force: true });
});

async function makeKey(of = team, personId: string | null = null): Promise<Identity> {
  const { key } = await createApiKey(services, of.id, { name: 'x', role: 'admin', personId });
  return (await verifyApiKey(services, `Bearer ${key}`))!;
}

/** Makes one exit of each kind. */
async function makeExits(by: Identity, of = team, repository = 'org/poet') {
  const version = await publishVersion(services, of);
  const webhook = await makeWebhook(by, of);
  const integration = await putIntegration(services, of.id, 'wandb', { url, secret: 'a'.repeat(40) }, by);
  await setPublishingRules(services, of.id, { repositories: ['org'] }, by);
  await putIntegration(services, of.id, 'huggingface', { secret: 'hf_canary1234567890' }, graftAdmin);
  const target = await addTarget(services, version, { url, name: repository.slice(4) }, by);
  const request = { versionId: version.id, exportId: null, repository, isPublic: false, card: false };
  const { publication } = await createPublication(services, of.id, request, by);
  return { version, webhook, integration, target, publication };
}

async function makeWebhook(by: Identity, of = team) {
  const input = { url, description: null, events: ['fine_tuning.job.cancelled' as const] };
  return (await createWebhook(services, of.id, input, by)).endpoint;
}

const enabled = async (of = team) =>
  (await listExits(services, of.id, {})).filter(({ isEnabled }) => isEnabled).map(({ id }) => id);

test('revoking a key ends the exits that it made, each with its audit row, and no others', async () => {
  const [stolen, own] = [await makeKey(), await makeKey()];
  const made = await makeExits(stolen);
  const kept = await makeWebhook(own);
  const other = await createTestTeam(services);
  const theirs = await makeExits(await makeKey(other), other);
  const before = await enabled(other);

  const preview = await previewRevocation(services, team.id, stolen.keyId!, {
    by: own,
    descendants: 'revoke',
  });
  assert.equal((await enabled()).length, 6);
  const revoked = await revokeApiKey(services, team.id, stolen.keyId!, { by: own, descendants: 'revoke' });
  assert.deepEqual(preview, revoked);
  assert.deepEqual(revoked!.exits, {
    webhook: [made.webhook.id],
    integration: [made.integration.id],
    deploy_target: [made.target.id],
    publication: [made.publication.id],
  });
  // The token of the Hub is the operator's, and the other endpoint that of another key.
  const left = await listExits(services, team.id, {});
  assert.deepEqual(
    left
      .filter(({ isEnabled }) => isEnabled)
      .map(({ id, name }) => (id === kept.id ? id : name.split(' ')[0])),
    [kept.id, 'huggingface'],
  );
  assert.deepEqual(
    (await listExits(services, team.id, { hasMakerLeft: true })).map(({ id }) => id),
    [made.webhook.id, made.integration.id, made.target.id],
  );
  assert.match(
    (await getIntegration(services, team.id, 'wandb'))!.disabledReason!,
    /key that made it was revoked/,
  );
  const { state, reason } = (await getDeployTarget(services, team.id, made.target.id))!;
  assert.deepEqual([state, reason], ['disabled', 'The key that made it was revoked.']);
  const ended = await getPublication(services, team.id, made.publication);
  assert.deepEqual([ended!.status, ended!.error!.code], ['failed', 'publication_ended']);
  const rows = await services.db.auditEntry.findMany({
    where: { teamId: team.id, keyId: own.keyId, action: { not: 'webhook.create' } },
    orderBy: { id: 'asc' },
  });
  assert.deepEqual(
    rows.map(({ action, target }) => [action, target]),
    [
      ['webhook.disable', made.webhook.id],
      ['integration.disable', made.integration.id],
      ['deploy_target.disable', made.target.id],
      ['publication.end', made.publication.id],
      ['api_key.revoke', stolen.keyId],
    ],
  );
  assert.deepEqual(await enabled(other), before);
  assert.equal(before.length, 5);
  assert.equal((await getDeployTarget(services, other.id, theirs.target.id))!.createdBy !== null, true);

  // Each continues under the key that enables it.
  await updateWebhook(services, team.id, made.webhook.id, { enabled: true }, own);
  await putIntegration(services, team.id, 'wandb', { secret: 'b'.repeat(40) }, own);
  await updateDeployTarget(services, team.id, made.target.id, { enabled: true }, own);
  assert.equal((await getIntegration(services, team.id, 'wandb'))!.madeByKey, own.keyId);
  assert.equal((await getDeployTarget(services, team.id, made.target.id))!.state, 'waiting');
  const again = await revokeApiKey(services, team.id, own.keyId!);
  assert.deepEqual(
    Object.values(again!.exits).map(({ length }) => length),
    [2, 1, 1, 0],
  );
});

test('exits are kept on request and listed, also those of keys that the key made; rotation and expiry keep them', async () => {
  const root = await makeKey();
  const { keyId } = await createApiKey(services, team.id, { name: 'x', role: 'admin', by: root });
  const child = { ...root, keyId };
  const made = await makeExits(child);
  const rotated = await rotateApiKey(services, team.id, keyId, { overlap: 0, by: root });
  const lists = await listExits(services, team.id, { maker: root.keyId! });
  assert.deepEqual(
    lists.map(({ hasMakerLeft }) => hasMakerLeft),
    [false, false, false, false],
  );
  const by = { by: graftAdmin, descendants: 'revoke' } as const;
  const kept = await revokeApiKey(services, team.id, root.keyId!, { ...by, exits: 'keep' });
  assert.ok(kept!.keys.includes(rotated!.keyId));
  assert.deepEqual(
    kept!.exitsLeft,
    [made.webhook, made.integration, made.target, made.publication].map(({ id }) => id),
  );
  const hub = 1;
  assert.equal((await enabled()).length, 4 + hub);
  await revokeApiKey(services, team.id, root.keyId!, by);
  assert.equal((await enabled()).length, hub);
});

test("a person's exits stay with the team when the person leaves, are listed, and end on request", async () => {
  for (const endsExits of [false, true]) {
    team = await createTestTeam(services);
    const { id } = await createPerson(services, { email: `${Math.random()}@example.com`, name: 'P' });
    await putMember(services, team.id, id, 'admin');
    await putMember(
      services,
      team.id,
      (await createPerson(services, { email: `${Math.random()}@a.com`, name: 'Q' })).id,
      'admin',
    );
    const key = await makeKey(team, id);
    const { webhook } = await makeExits(key);
    // Signed in without a key.
    const session = { keyId: null, personId: id } as const;
    const signedIn = { ...key, ...session };
    const own = await makeWebhook(signedIn);
    const removed = await removeMember(services, team.id, id, graftAdmin, { endsExits });
    const ids = endsExits ? removed!.exitsEnded : removed!.exitsLeft;
    assert.equal(ids.length, 5);
    assert.ok(ids.includes(webhook.id) && ids.includes(own.id));
    assert.equal((await getWebhook(services, team.id, own.id))!.disabledAt === null, !endsExits);
    const lost = await listExits(services, team.id, { hasMakerLeft: true });
    assert.equal(lost.length, endsExits ? 4 : 5);
    await assert.rejects(makeWebhook(signedIn), { code: 'invalid_api_key' });
  }
});

test('of a key that makes exits while it is revoked none stays open', async () => {
  for (let round = 0; round < 4; round++) {
    team = await createTestTeam(services);
    const version = await publishVersion(services, team);
    const stolen = await makeKey();
    const made: Promise<unknown>[] = [];
    for (let n = 0; n < 4; n++)
      made.push(
        makeWebhook(stolen),
        addTarget(services, version, { url, name: `n${n}`, modelName: `m${n}` }, stolen),
        putIntegration(services, team.id, 'wandb', { url, secret: 'a'.repeat(40) }, stolen),
      );
    const settled = Promise.allSettled(made);
    await sleep(round * 5);
    await revokeApiKey(services, team.id, stolen.keyId!);
    for (const { status, reason } of (await settled) as PromiseRejectedResult[])
      if (status === 'rejected') assert.equal(reason.code, 'invalid_api_key', String(reason));
    assert.deepEqual(await enabled(), []);
  }
});

/** Revokes the key while the sender looks up the server, between its checks and the connection. */
function revokingLookup(key: Identity) {
  let revoked: Promise<unknown> | undefined;
  let done = () => {};
  const isRevoked = new Promise<void>((resolve) => {
    done = resolve;
  });
  return {
    isRevoked,
    resolve: async () => {
      revoked ??= revokeApiKey(services, team.id, key.keyId!).then(done);
      await revoked;
      return ['127.0.0.1'];
    },
  };
}

/** Waits until a sender that ignores the revocation has sent its request. */
async function sendsNothing(sender: { close(): Promise<void> }, isRevoked: Promise<void>): Promise<void> {
  const before = asked.length;
  await isRevoked;
  await sleep(500);
  await sender.close();
  assert.deepEqual(asked.slice(before), []);
}

test('no sender connects once the revocation has returned, even if it had claimed its work before', async () => {
  const starts = [
    async (key: Identity, resolve: () => Promise<string[]>) => {
      const { id } = await makeWebhook(key);
      await testWebhook(services, team.id, id, key);
      return startWebhookSender(services, { pollMs: 20, resolve });
    },
    async (key: Identity, resolve: () => Promise<string[]>) => {
      await putIntegration(services, team.id, 'wandb', { url, secret: 'a'.repeat(40) }, key);
      const job = await startMetricJob(services, team, { type: 'wandb', wandb: { project: 'p' } });
      await trainSteps(services, job, 1, 3);
      const sender = startIntegrationSender(services, { ...quickMetrics, resolve });
      await untilSent(services, job, ({ status }) => status === 'given_up');
      return sender;
    },
    async (key: Identity, resolve: () => Promise<string[]>) => {
      const version = await publishVersion(services, team);
      await addTarget(services, version, { url }, key);
      await tag(services, version);
      return startDeploySender(services, { ...quickTargets, connectMs: 5_000, resolve });
    },
    async (key: Identity, resolve: () => Promise<string[]>) => {
      const { webhook, target } = await makeExits(key);
      await updateWebhook(services, team.id, webhook.id, { enabled: false }, key);
      await updateDeployTarget(services, team.id, target.id, { enabled: false }, key);
      return startPublicationSender(services, { ...quickPublications, resolve });
    },
  ];
  // Those of the tests before would be sent, too.
  await services.sql.query('DELETE FROM deploy_targets');
  await services.sql.query('DELETE FROM publications');
  for (const start of starts) {
    team = await createTestTeam(services);
    const key = await makeKey();
    const { isRevoked, resolve } = revokingLookup(key);
    await sendsNothing(await start(key, resolve), isRevoked);
  }
});
