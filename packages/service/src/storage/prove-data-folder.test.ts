import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { dataFolder } from '../data-folder/data-folder.ts';
import { secureDataFolder } from '../data-folder/secure-data-folder.ts';
import { createLogger } from '../logger.ts';
import type { Services } from '../services.ts';
import { openTestServices } from '../testing/open-test-services.ts';
import { checkDataFolderMark, probeDataFolder } from './prove-data-folder.ts';

let services: Services;
let folder: string;
before(async () => {
  services = await openTestServices({ role: 'worker' });
  folder = await mkdtemp(path.join(tmpdir(), 'graft-folders-'));
});
after(async () => {
  await services.close();
  await rm(folder, { recursive: true });
});

const make = async (name: string) => {
  const made = path.join(folder, name);
  await mkdir(made);
  return made;
};

test('of processes that open folders at once, those in one folder continue and the others get an error', async () => {
  const folders = await Promise.all(['a', 'b', 'c'].map(make));
  const looks = folders.flatMap((root) => [root, root, root]);
  const outcomes = await Promise.allSettled(looks.map((root) => checkDataFolderMark(services, root)));
  const [chosen] = looks.filter((_, i) => outcomes[i]!.status === 'fulfilled');
  assert.ok(chosen);
  looks.forEach((root, i) => {
    const { status, reason } = outcomes[i] as PromiseRejectedResult;
    assert.equal(status, root === chosen ? 'fulfilled' : 'rejected');
    if (root !== chosen)
      assert.match(reason.message, /not the data folder of this installation.*GRAFT_DATA_DIR/);
  });
  await assert.rejects(checkDataFolderMark(services, await make('empty')), /there is no data-folder-id/);
  assert.deepEqual(await readdir(path.join(folder, 'empty')), [], 'and nothing is written there');
  await checkDataFolderMark(services, chosen);
});

test('a folder that keeps nothing and one that is full are named', async () => {
  const root = await make('probed');
  const probe = { name: 'w1', minFreeBytes: 1 };
  await probeDataFolder(root, probe);
  assert.deepEqual(await readdir(dataFolder(root).probes), [], 'a probe leaves nothing');
  await assert.rejects(probeDataFolder(root, { ...probe, minFreeBytes: 2 ** 60 }), /GRAFT_MIN_FREE_BYTES/);
  await assert.rejects(probeDataFolder(path.join(root, 'no', '\0'), probe), /does not keep/);
});

test('nobody else may look into the data folder, nor into one from before', async () => {
  const root = await make('private');
  await chmod(root, 0o755);
  await mkdir(path.join(root, 'files'), { mode: 0o755 });
  const log = createLogger({ level: 'silent', name: 'test' });
  const mode = async (...names: string[]) =>
    ((await stat(path.join(root, ...names))).mode & 0o777).toString(8);
  const modes = async () => [await mode(), await mode('staging'), await mode('files'), await mode('secrets')];
  await secureDataFolder(root, log, { passable: 'nothing' });
  assert.deepEqual(await modes(), ['700', '700', '700', '700']);
  await secureDataFolder(root, log, { passable: 'data folder' });
  assert.deepEqual(await modes(), ['711', '700', '700', '700']);
  await secureDataFolder(root, log, { passable: 'folders' });
  assert.deepEqual(await modes(), ['711', '711', '700', '700']);
  await secureDataFolder(root, log, { passable: 'nothing' });
  assert.deepEqual(await modes(), ['711', '711', '700', '700'], 'what another process needs is left');
});
