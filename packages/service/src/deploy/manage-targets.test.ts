import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { withSystemScope, withTeamScope } from '../database/database-scope.ts';
import { rotateSecrets } from '../rotation/rotate-secrets.ts';
import { unseal } from '../secrets/sealed-secret.ts';
import type { Services } from '../services.ts';
import { createTestTeam, type TestTeam } from '../testing/job-fixtures.ts';
import { openFenced, openTestServices } from '../testing/open-test-services.ts';
import {
  createDeployTarget,
  deleteDeployTarget,
  getDeployTarget,
  listDeployTargets,
  sealedForTarget,
  updateDeployTarget,
} from './manage-targets.ts';
import { addTarget, by, publishVersion, sharedFolder } from './testing/deployed-adapter.ts';

let services: Services;
let shared: string;
before(async () => {
  shared = await sharedFolder();
  services = await openTestServices({
    env: { GRAFT_DEPLOY_ALLOW: '*=127.0.0.1:*', GRAFT_DEPLOY_FOLDER: shared },
  });
});
after(async () => {
  await services?.close();
  await rm(shared, { recursive: true, force: true });
});

async function teamWithTarget(): Promise<{ team: TestTeam; id: string }> {
  const team = await createTestTeam(services);
  const version = await publishVersion(services, team);
  const { id } = await addTarget(services, version, { url: 'http://127.0.0.1:1', apiKey: 'a-key' });
  return { team, id };
}

test("row-level security shows a team its targets, and only the system another team's", async (t) => {
  const ours = await teamWithTarget();
  const theirs = await teamWithTarget();
  const { database, close } = openFenced(services);
  t.after(close);
  const ids = async () =>
    (await database.sql.query<{ id: string }>('SELECT id FROM deploy_targets')).rows
      .map(({ id }) => id)
      .sort();
  assert.deepEqual(await withTeamScope(ours.team.id, ids), [ours.id]);
  assert.deepEqual(await ids(), []);
  assert.deepEqual(await withSystemScope(ids), [ours.id, theirs.id].sort());
  assert.equal(await getDeployTarget(services, ours.team.id, theirs.id), null);
  assert.deepEqual(
    (await listDeployTargets(services, ours.team.id, { limit: 20 })).data.map(({ id }) => id),
    [ours.id],
  );
});

test('an API key is sealed for its row, and again when the secrets are rotated', async () => {
  const { team, id } = await teamWithTarget();
  const read = async () => {
    const { sealed, sealedBy } = await services.db.deployTarget.findFirstOrThrow({ where: { id } });
    return { sealed: sealed!, sealedBy };
  };
  const own = sealedForTarget({ teamId: team.id, id });
  const before = await read();
  assert.equal(await unseal(services.secrets, own, before), 'a-key');
  assert.equal(await unseal(services.secrets, sealedForTarget({ teamId: team.id, id: 'x' }), before), null);
  await rotateSecrets(services);
  const after = await read();
  assert.notEqual(after.sealedBy, before.sealedBy);
  assert.equal(await unseal(services.secrets, own, after), 'a-key');
});

test('without a shared folder no target is created', async () => {
  const team = await createTestTeam(services);
  const version = await publishVersion(services, team);
  const off = { ...services, env: { ...services.env, deployFolder: undefined } };
  await assert.rejects(addTarget(off, version, { url: 'http://127.0.0.1:1' }), { code: 'deploy_off' });
  const input = {
    name: 'a',
    runtime: 'vllm',
    apiKey: 'sk-test',
    adapterId: version.adapterId,
    tag: 'production',
    url: 'http://127.0.0.1:1',
    modelName: 'a',
    versionedNames: true,
    keepSeconds: 0,
  } as const;
  for (let n = 0; n < 20; n++)
    await createDeployTarget(services, team.id, { ...input, name: `n${n}`, modelName: `n${n}` }, by);
  const tooMany = { code: 'too_many_deploy_targets' };
  await assert.rejects(createDeployTarget(services, team.id, input, by), tooMany);
  // Deleted ones, which are tried for a day, count until they are gone, so that a loop of both ends.
  for (let round = 1; round < 3; round++) {
    await services.db.deployTarget.updateMany({
      where: { teamId: team.id },
      data: { deletedAt: new Date() },
    });
    for (let n = 0; n < 20; n++)
      await createDeployTarget(services, team.id, { ...input, name: `n${n}`, modelName: `n${n}` }, by);
  }
  const [last] = (await listDeployTargets(services, team.id, { limit: 1 })).data;
  assert.equal(await deleteDeployTarget(services, team.id, last!.id, by), true);
  await assert.rejects(createDeployTarget(services, team.id, input, by), {
    ...tooMany,
    message: /still being unloaded/,
  });
});

test('an internal address is open to the team of its entry alone, on its port, with an API key', async () => {
  const [ours, theirs] = [await createTestTeam(services), await createTestTeam(services)];
  const [mine, other] = [await publishVersion(services, ours), await publishVersion(services, theirs)];
  const { name } = await services.db.team.findFirstOrThrow({ where: { id: ours.id } });
  const deployAllow = [`${name}=127.0.0.1:8000`, `${theirs.id}=127.0.0.1:8001`];
  const opened = { ...services, env: { ...services.env, deployAllow } };
  const refused = { code: 'invalid_deploy_target', param: 'url' };
  const first = { url: 'http://127.0.0.1:8000' };
  const second = { url: 'http://127.0.0.1:8001' };
  await assert.rejects(addTarget(opened, mine, second), refused);
  await assert.rejects(addTarget(opened, other, first), refused);
  await addTarget(opened, other, second);
  const noKey = { code: 'invalid_deploy_target', param: 'api_key', message: /give that key as api_key/ };
  await assert.rejects(addTarget(opened, mine, { ...first, apiKey: null }), noKey);
  const { id } = await addTarget(opened, mine, first);
  await assert.rejects(updateDeployTarget(opened, ours.id, id, { apiKey: null }, by), noKey);
  // One on the internet needs none.
  await addTarget(opened, mine, { url: 'https://vllm.example.com', modelName: 'b', apiKey: null });
});

test('the default folder follows the setting of the operator', async () => {
  const { team, id } = await teamWithTarget();
  const moved = { ...services, env: { ...services.env, deployFolder: '/elsewhere' } };
  assert.equal((await getDeployTarget(services, team.id, id))!.folder, `${shared}/${team.id}`);
  assert.equal((await getDeployTarget(moved, team.id, id))!.folder, `/elsewhere/${team.id}`);
  const off = { ...services, env: { ...services.env, deployFolder: undefined } };
  assert.equal((await getDeployTarget(off, team.id, id))!.folder, null);
  const given = await updateDeployTarget(moved, team.id, id, { folder: '/adapters' }, by);
  assert.equal(given!.folder, '/adapters');
});
