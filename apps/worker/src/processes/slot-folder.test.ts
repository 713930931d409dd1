import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SlotFolder } from './slot-folder.ts';

test('what a child should read and is lost is missed by the child, and fails nothing before', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'graft-slot-'));
  t.after(() => rm(folder, { recursive: true }));
  const [kept, lost] = [join(folder, 'step-20'), join(folder, 'step-40')];
  await mkdir(kept);
  await writeFile(join(kept, 'state'), 'bytes');
  const slot = new SlotFolder(join(folder, 'slots', 'one'), null);
  await slot.prepare();
  const access = { team: 'team-1', writes: [join(folder, 'out', 'adapter')], reads: [lost, kept] };
  const places = await slot.open(access);
  assert.equal(existsSync(places.get(lost)!), false);
  assert.equal(await readFile(join(places.get(kept)!, 'state'), 'utf8'), 'bytes');
  await slot.close(access, places);
  assert.equal(existsSync(places.get(kept)!), false);
});
