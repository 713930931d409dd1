// A child of another user beside files of root's. The child is plain JavaScript in a folder that everybody gets to.
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { createLogger } from '@graft/service';
import { canReach, findChildUser, openTo, takeBack } from './child-user.ts';
import { ForkedProcess } from './forked-process.ts';

interface TestMessages {
  call: { type: 'try'; writes: string; reads: string; secret: string };
  event: { type: 'none' };
  result: { type: 'tried'; uid: number; text: string; found: string[] };
}

const child = `
  import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
  import { dirname } from 'node:path';
  process.send({ type: 'ready' });
  process.on('message', ({ writes, reads, secret }) => {
    const attempt = (name, act) => { try { act(); return [name]; } catch { return []; } };
    const text = readFileSync(reads, 'utf8');
    writeFileSync(writes + '/adapter', 'trained');
    process.send({ type: 'tried', uid: process.getuid(), text, found: [
      ...attempt('a secret', () => readFileSync(secret)),
      ...attempt('names of others', () => readdirSync(dirname(reads))),
      ...attempt('a change of its data', () => writeFileSync(reads, 'other')),
    ] });
  });
  process.on('disconnect', () => process.exit());
`;
const isRoot = process.getuid?.() === 0;
let root: string;

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'graft-child-user-'));
  await chmod(root, 0o711);
});
after(() => rm(root, { recursive: true }));

describe('children of another user', { skip: isRoot ? false : 'only root starts them' }, () => {
  it('read and write what is opened to them and nothing else, and change nothing afterwards', async () => {
    const user = (await findChildUser('65534:65534', join(root, 'digests')))!;
    await mkdir(join(root, 'files'), { mode: 0o700 });
    await mkdir(join(root, 'staging'), { mode: 0o711 });
    const [reads, secret] = [join(root, 'files', 'data'), join(root, 'files', 'other')];
    await writeFile(reads, 'a line', { mode: 0o600 });
    await writeFile(secret, 'of another team', { mode: 0o600 });
    await writeFile(join(root, 'child.mjs'), child);
    const writes = join(root, 'staging', 'job', '1');
    assert.equal(await canReach(user, join(root, 'staging')), true);
    assert.equal(await canReach(user, join(root, 'files')), false);

    const forked = new ForkedProcess<TestMessages>(
      'child',
      { results: ['tried'], check: () => null },
      {
        entry: pathToFileURL(join(root, 'child.mjs')),
        device: { kind: 'cpu' },
        log: createLogger({ level: 'silent', name: 'test' }),
        user,
        stallMilliseconds: 60_000,
        idleMilliseconds: 60_000,
      },
    );
    try {
      const access = { writes: [writes], reads: [reads] };
      await openTo(user, access);
      const { signal } = new AbortController();
      const message = { type: 'try', writes, reads, secret } as const;
      const { value } = await forked.call({ message, precision: 'fp32', stop: signal }).next();
      assert.deepEqual(value, { type: 'tried', uid: 65534, text: 'a line', found: [] });
      await takeBack(access);
      assert.equal(await readFile(join(writes, 'adapter'), 'utf8'), 'trained');
      for (const path of [writes, join(writes, 'adapter')]) assert.equal((await stat(path)).uid, 0);
    } finally {
      await forked.close();
    }
  });

  it('are of a user that this machine has, and not root', async () => {
    const find = (setting?: string) => findChildUser(setting, join(root, 'digests'));
    assert.equal(await find(), null);
    assert.ok((await find('nobody'))!.uid > 0);
    await assert.rejects(find('nobody-of-this-name'), /GRAFT_TRAINER_USER/);
    await assert.rejects(find('root'), /another user than root/);
  });
});
