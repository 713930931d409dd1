/** Tests of the list of a team's exits to other servers, as two teams and the operator see it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { AdapterVersion } from '@graft/service/adapters';
import { getApiKey } from '@graft/service/keys';
import { assertError } from '../../testing/assert-error.ts';
import { type ApiBench, type Caller, openApiBench } from '../../testing/open-api-bench.ts';
import { storeAdapter } from '../../testing/store-adapter.ts';

let bench: ApiBench;
let admin: Caller;
let otherAdmin: Caller;
let version: AdapterVersion;
before(async () => {
  bench = await openApiBench(
    {},
    {
      GRAFT_DEPLOY_FOLDER: '/nowhere/graft',
      GRAFT_DEPLOY_ALLOW: 'acme=10.0.3.7:8000',
      HF_ENDPOINT: 'http://127.0.0.1:9',
    },
  );
  admin = await bench.caller(bench.acme, 'admin');
  otherAdmin = await bench.caller(bench.other, 'admin');
  version = await storeAdapter(bench, bench.acme, 'poet');
});
after(async () => await bench?.close());

const publications = () => `/v1/adapters/${version.adapterId}/versions/1/publications`;
const target = (fields: object = {}) => ({
  name: 'shop',
  runtime: 'vllm',
  url: 'https://vllm.example.com',
  adapter_id: version.adapterId,
  tag: 'production',
  model_name: 'mine',
  ...fields,
});

test('publications go only where an admin allows, and public ones only if an admin allows these', async () => {
  assert.equal((await admin.send('POST', '/v1/integrations/huggingface', { secret: 'hf_x' })).status, 200);
  const rules = '/v1/team/publishing';
  assert.deepEqual((await bench.acme.send('GET', rules)).json, {
    object: 'team.publishing',
    repositories: [],
    public: false,
    updated_at: null,
  });
  const publish = async (repository: string, isPublic = false) =>
    await bench.acme.send('POST', publications(), { repository, public: isPublic });
  const none = assertError(await publish('Org/poet'), 403, 'repository_not_allowed', 'repository');
  assert.match(none, /graft team publishing --allow Org/);
  assertError(await bench.acme.send('POST', rules, { repositories: ['org'] }), 403, 'insufficient_role');
  for (const bad of ['*', '*/x', 'org/*x', 'a/b/c', 'org/', 'https://x'])
    assertError(
      await admin.send('POST', rules, { repositories: [bad] }),
      400,
      'invalid_publishing_rules',
      'repositories',
    );
  const set = await admin.send('POST', rules, { repositories: ['Org', 'lab/support-*', 'lab/One'] });
  assert.deepEqual(set.json.repositories, ['lab/one', 'lab/support-*', 'org/*']);
  for (const fine of ['Org/poet', 'lab/support-de', 'LAB/one'])
    assert.equal((await publish(fine)).status, 200, fine);
  for (const refused of ['lab/two', 'organisation/poet', 'lab/one-more'])
    assertError(await publish(refused), 403, 'repository_not_allowed', 'repository');
  assertError(await publish('org/open', true), 403, 'public_not_allowed', 'public');
  assert.deepEqual((await admin.send('POST', rules, { public: true })).json.repositories.length, 3);
  assert.equal((await publish('org/open', true)).status, 200);
  assert.deepEqual((await otherAdmin.send('GET', rules)).json.repositories, []);
  const { data } = (await admin.send('GET', '/v1/audit?action=publishing.set')).json;
  assert.deepEqual(data[0].detail, { repositories: ['lab/one', 'lab/support-*', 'org/*'], public: true });
});

test('a key is revoked with what it made, after a preview, and a leaving person leaves it', async () => {
  const made = (await admin.send('POST', '/v1/team/keys', { name: 'x', role: 'admin', owner: 'team' })).json;
  const leaked = bench.withKey(bench.acme, made.key);
  const hook = (await leaked.send('POST', '/v1/webhooks', { url: 'https://example.com/' })).json;
  const wandb = (await leaked.send('POST', '/v1/integrations/wandb', { secret: 'a'.repeat(40) })).json;
  const shop = (await leaked.send('POST', '/v1/deploy_targets', target())).json;
  for (const each of [hook, wandb, shop])
    assert.deepEqual([each.created_by, each.made_by_key], [made.id, made.id]);
  const mine = (await admin.send('GET', `/v1/team/exits?made_by=${made.id}`)).json.data;
  assert.deepEqual(
    mine.map((each: { id: string; maker_left: boolean }) => [each.id, each.maker_left]),
    [hook, wandb, shop].map(({ id }) => [id, false]),
  );
  assertError(await bench.acme.send('GET', '/v1/team/exits'), 403, 'insufficient_role');
  assert.deepEqual((await otherAdmin.send('GET', `/v1/team/exits?made_by=${made.id}`)).json.data, []);

  const path = `/v1/team/keys/${made.id}`;
  assertError(await otherAdmin.send('GET', `${path}/revocation`), 404, 'api_key_not_found', 'key_id');
  const kept = (await admin.send('GET', `${path}/revocation?exits=keep`)).json.revoked;
  assert.deepEqual(kept.exits_left, [hook.id, wandb.id, shop.id]);
  const preview = (await admin.send('GET', `${path}/revocation`)).json.revoked;
  assert.equal((await getApiKey(bench.services, version.teamId, made.id))!.revokedAt, null);
  const { revoked } = (await admin.send('DELETE', path)).json;
  assert.deepEqual(preview, revoked);
  assert.deepEqual(
    [revoked.webhooks, revoked.integrations, revoked.deploy_targets, revoked.exits_left],
    [[hook.id], [wandb.id], [shop.id], []],
  );
  const refused = await bench.acme.send('POST', '/v1/fine_tuning/jobs', {
    model: 'tiny',
    training_file: await bench.acme.upload('{"text":"a"}\n'),
    integrations: [{ type: 'wandb', wandb: { project: 'p' } }],
  });
  assertError(refused, 400, 'integration_disabled', 'integrations[0].type');
  assert.equal((await admin.send('GET', `/v1/deploy_targets/${shop.id}`)).json.state, 'disabled');
  const again = await admin.send('POST', `/v1/deploy_targets/${shop.id}`, { enabled: true });
  assert.deepEqual([again.json.state, again.json.reason], ['waiting', null]);
  assert.notEqual(again.json.made_by_key, made.id);
});

test('an internal address is open to the team that its entry names, with an API key', async () => {
  const inside = target({ name: 'inside', url: 'http://10.0.3.7:8000', model_name: 'inside' });
  assertError(
    await admin.send('POST', '/v1/deploy_targets', inside),
    400,
    'invalid_deploy_target',
    'api_key',
  );
  const open = await admin.send('POST', '/v1/deploy_targets', { ...inside, api_key: 'sk-x' });
  assert.equal(open.status, 200, open.text);
  const theirs = await storeAdapter(bench, bench.other, 'poet');
  const asked = { ...inside, adapter_id: theirs.adapterId, api_key: 'sk-x' };
  assertError(
    await otherAdmin.send('POST', '/v1/deploy_targets', asked),
    400,
    'invalid_deploy_target',
    'url',
  );
});

test('the operator lists adapters that runtimes may still have, and dismisses them', async () => {
  const operator = await bench.operator();
  const path = '/v1/admin/deploy_leftovers';
  assertError(await admin.send('GET', path), 403, 'operator_required');
  await bench.services.db.deployLeftover.create({
    data: {
      id: 'dpt-0123456789abcdef',
      teamId: version.teamId,
      teamName: 'acme',
      name: 'shop',
      runtime: 'vllm',
      url: 'http://10.0.3.7:8000',
      modelName: 'mine-v1',
      unreachableSince: new Date(0),
    },
  });
  const { data } = (await operator.send('GET', path)).json;
  assert.deepEqual(
    data.map(({ id, team_name, model_name, unreachable_since }: Record<string, unknown>) => ({
      id,
      team_name,
      model_name,
      unreachable_since,
    })),
    [{ id: 'dpt-0123456789abcdef', team_name: 'acme', model_name: 'mine-v1', unreachable_since: 0 }],
  );
  assert.equal((await operator.send('DELETE', `${path}/${data[0].id}`)).json.deleted, true);
  assertError(
    await operator.send('DELETE', `${path}/${data[0].id}`),
    404,
    'leftover_not_found',
    'leftover_id',
  );
  assert.deepEqual((await operator.send('GET', path)).json.data, []);
  const audit = (await admin.send('GET', '/v1/audit?action=deploy_leftover.dismiss')).json.data;
  assert.equal(audit.length, 1);
});
