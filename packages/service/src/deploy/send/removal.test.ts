/** Removal of targets: files, rows and teams. */
import assert from 'node:assert/strict';
import { mkdir, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { newId } from '../../ids.ts';
import { deleteTeam, purgeDeletedTeams } from '../../teams/delete-team.ts';
import { createTestTeam } from '../../testing/job-fixtures.ts';
import { dismissLeftover, listLeftovers } from '../leftovers.ts';
import { deleteDeployTarget } from '../manage-targets.ts';
import { DeployBench, until } from '../testing/deploy-bench.ts';
import { addTarget, by, publishVersion } from '../testing/deployed-adapter.ts';
import { sweepFolder } from './deploy-sender.ts';
import { removeVersions, writeVersion } from './shared-folder.ts';
import { claimTargets } from './target-work.ts';

let bench: DeployBench;
before(async () => {
  bench = await DeployBench.open();
});
after(async () => await bench?.close());

test('files of a deleted target outlive the unload, and its row outlives them', async (t) => {
  const { server, team, target, folder } = await bench.target(t);
  bench.start(t, { filesSeconds: 1.5 });
  await bench.deployed(target);
  await deleteDeployTarget(bench.services, team.id, target.id, by);
  await until(() => server.loaded.size === 0);
  await sleep(700);
  const [version] = await readdir(folder);
  assert.ok((await readdir(path.join(folder, version!))).includes('adapter_model.safetensors'));
  assert.ok(await bench.row(target));
  await until(async () => (await bench.row(target)) === null);
  assert.deepEqual(await readdir(path.dirname(folder)), []);
});

test('a deleted target whose runtime never answers is removed in the end: its files stay, since the runtime may read them', async (t) => {
  const { server, team, target, folder } = await bench.target(t);
  const sender = bench.start(t, { giveUpSeconds: 1 });
  await bench.deployed(target);
  await server.close();
  await deleteDeployTarget(bench.services, team.id, target.id, by);
  await until(async () => (await bench.row(target)) === null);
  await sender.close();
  await sweepFolder(bench.services, { filesSeconds: 0 }, new AbortController().signal);
  assert.match(String(await readdir(folder)), /^v1-[0-9a-f]{12}$/);

  // The operator sees what may still be loaded there, and says when it is not.
  const { services } = bench;
  const [leftover, ...others] = (await listLeftovers(services, { limit: 10 })).data;
  assert.deepEqual(others, []);
  const { id, teamId, teamName, runtime, url, modelName } = leftover!;
  assert.deepEqual([id, teamId, teamName], [target.id, team.id, team.name]);
  assert.deepEqual([runtime, url, modelName], ['vllm', server.url, 'support-v1']);
  assert.ok((await dismissLeftover(services, id, by))!.dismissedAt);
  assert.equal(await dismissLeftover(services, id, by), null);
  assert.deepEqual((await listLeftovers(services, { limit: 10 })).data, []);
  await sweepFolder(services, { filesSeconds: 900 }, new AbortController().signal);
  await assert.rejects(readdir(folder), { code: 'ENOENT' });
  assert.equal(await services.db.deployLeftover.count(), 0);
  const audit = await services.db.auditEntry.findMany({ where: { target: id }, orderBy: { id: 'asc' } });
  assert.deepEqual(audit.map(({ action }) => action).slice(-2), [
    'deploy_leftover.record',
    'deploy_leftover.dismiss',
  ]);
});

test('a deleted target whose files cannot be removed ends, too', async (t) => {
  const { team, target, folder } = await bench.target(t);
  bench.start(t, { giveUpSeconds: 1 });
  await bench.deployed(target);
  await rm(folder, { recursive: true });
  await writeFile(folder, '');
  await deleteDeployTarget(bench.services, team.id, target.id, by);
  await until(async () => /ENOTDIR/.test((await bench.row(target))?.reason ?? ''));
  await until(async () => (await bench.row(target)) === null);
});

test('a deleted team is purged only when its runtimes have unloaded, and at the latest after a day', async (t) => {
  const { server, team, target } = await bench.target(t);
  const sender = bench.start(t, { checkSeconds: 600 });
  await bench.deployed(target);
  await sender.close();
  assert.equal(await deleteTeam(bench.services, team.id, team.name, by), true);
  await purgeDeletedTeams(bench.services);
  assert.ok(await bench.row(target), 'still to be unloaded');
  bench.start(t, { checkSeconds: 600 });
  await until(() => server.loaded.size === 0);
  await until(async () => (await bench.row(target)) === null);
  assert.equal(await purgeDeletedTeams(bench.services), 1);
  assert.equal(await bench.services.db.team.count({ where: { id: team.id } }), 0);

  const never = await bench.target(t);
  await deleteTeam(bench.services, never.team.id, never.team.name, by);
  const age = `UPDATE teams SET deleted_at = now() - interval '25 hours 1 minute' WHERE id = $1`;
  await bench.services.sql.query(age, [never.team.id]);
  assert.equal(await purgeDeletedTeams(bench.services), 1);
});

test('the sweep removes unloaded versions of targets that have no row, and nothing else', async (t) => {
  const { team, target } = await bench.target(t);
  const old = new Date(Date.now() - 3_600_000);
  const place = async (id: string, name: string, mark: Date | null) => {
    const folder = path.join(bench.shared, team.id, id, name);
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, 'adapter_config.json'), '{}');
    if (mark) await writeFile(path.join(folder, '.unloaded'), '');
    if (mark) await utimes(path.join(folder, '.unloaded'), mark, mark);
  };
  const [gone, used] = [newId('deployTarget'), newId('deployTarget')];
  await place(gone, 'v1-aaaaaaaaaaaa', old);
  await place(used, 'v1-aaaaaaaaaaaa', old);
  await place(used, 'v2-aaaaaaaaaaaa', null);
  await place(used, 'v3-aaaaaaaaaaaa', new Date());
  await place(target.id, 'v1-aaaaaaaaaaaa', old);
  await mkdir(path.join(bench.shared, 'lost+found'));
  await sweepFolder(bench.services, { filesSeconds: 900 }, new AbortController().signal);
  assert.deepEqual((await readdir(path.join(bench.shared, team.id))).sort(), [target.id, used].sort());
  assert.deepEqual(await readdir(path.join(bench.shared, team.id, used)), [
    'v2-aaaaaaaaaaaa',
    'v3-aaaaaaaaaaaa',
  ]);
  assert.equal((await readdir(path.join(bench.shared, team.id, target.id))).length, 1);
  assert.ok((await readdir(bench.shared)).includes('lost+found'));
});

test('a version folder that an interrupted removal or a full disk left incomplete is written again', async (t) => {
  const { server, target, folder, first } = await bench.target(t);
  const name = `v1-${first.artifact.slice(0, 12)}`;
  bench.start(t);
  await bench.deployed(target);
  const weights = path.join(folder, name, 'adapter_model.safetensors');
  for (const damage of [async () => await rm(weights), async () => await writeFile(weights, 'short')]) {
    await damage();
    server.restart();
    await until(() => server.loaded.has('support-v1'));
    await bench.deployed(target);
    const size = first.files.find(({ path: file }) => file === 'adapter_model.safetensors')!.bytes;
    assert.equal((await stat(weights)).size, size);
  }
});

test('a version that is in use again loses the mark of its unload', async () => {
  const folder = path.join(bench.shared, 'team-y', 'dpt-y');
  const mark = path.join(folder, 'v1-y', '.unloaded');
  await mkdir(path.dirname(mark), { recursive: true });
  await removeVersions(folder, { afterSeconds: 900, others: 'unloaded' });
  assert.ok(await stat(mark));
  const options = { inUse: new Set(['v1-y']), afterSeconds: 0, others: 'unloaded' } as const;
  assert.equal(await removeVersions(folder, options), false);
  await assert.rejects(stat(mark), { code: 'ENOENT' });
});

test('what was moved away by a removal that was killed is removed later', async () => {
  const folder = path.join(bench.shared, 'team-x', 'dpt-x');
  await mkdir(path.join(folder, '.writing-1'), { recursive: true });
  await writeFile(path.join(folder, '.writing-1', 'adapter_config.json'), '{}');
  assert.equal(await removeVersions(folder, { afterSeconds: 900, others: 'unloaded' }), false);
  assert.equal(await removeVersions(folder, { afterSeconds: 0, others: 'unloaded' }), true);
  const aborted = AbortSignal.abort(new Error('closing'));
  const files = {
    sizes: [{ path: 'adapter_config.json', bytes: 2 }],
    write: async (to: string, signal: AbortSignal) =>
      await writeFile(path.join(to, 'adapter_config.json'), '{}', { signal }),
  };
  await assert.rejects(writeVersion(folder, 'v1-x', files, { token: 'a', signal: aborted }), {
    name: 'AbortError',
  });
  assert.deepEqual(await readdir(folder), ['.writing-a']);
});

test('slow teams do not take all slots: the last ones are for teams that none is worked on of', async (t) => {
  const { services } = bench;
  t.after(async () => await services.sql.query('DELETE FROM deploy_targets'));
  const limits = { perTeam: 4, keptForOthers: 4, leaseSeconds: 60 };
  const add = async (count: number) => {
    const team = await createTestTeam(services);
    const version = await publishVersion(services, team);
    for (let n = 0; n < count; n++)
      await addTarget(services, version, { url: 'http://127.0.0.1:1', modelName: `m${n}` });
    return team.id;
  };
  for (let n = 0; n < 4; n++) await add(5);
  assert.equal((await claimTargets(services, { ...limits, count: 16 })).length, 12);
  assert.deepEqual(await claimTargets(services, { ...limits, count: 4 }), []);
  const other = await add(3);
  const claimed = await claimTargets(services, { ...limits, count: 4 });
  assert.deepEqual(
    claimed.map(({ teamId }) => teamId),
    [other],
  );
});
