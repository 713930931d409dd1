import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { findChildUsers } from './child-user.ts';

const isRoot = process.getuid?.() === 0;

describe('users of children', { skip: isRoot ? false : 'only root starts children of other users' }, () => {
  it('are one for each child, or one for all', async () => {
    const ids = async (setting: string | undefined, count: number) =>
      (await findChildUsers(setting, count))!.map(({ uid, gid }) => [uid, gid]);
    assert.deepEqual(await ids('10001-10016', 2), [
      [10001, 10001],
      [10002, 10002],
    ]);
    assert.deepEqual(await ids('65534:65533', 2), [
      [65534, 65533],
      [65534, 65533],
    ]);
    const [[nobody]] = (await ids('nobody', 1)) as [[number, number]];
    assert.ok(nobody > 0);
    assert.equal(new Set((await ids(undefined, 3)).map(([uid]) => uid)).size, 3);
  });

  it('are users that this machine has, enough of them, and never root or the worker', async () => {
    await assert.rejects(findChildUsers('nobody-of-this-name', 1), /GRAFT_TRAINER_USER.*no user/);
    await assert.rejects(findChildUsers('10001-10002', 3), /are 2 users, and this worker needs 3/);
    for (const root of ['root', '0:10001', '10001:0', '0-10'])
      await assert.rejects(findChildUsers(root, 1), /other than root/, root);
  });
});
