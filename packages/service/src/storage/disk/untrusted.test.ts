import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import {
  link,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { copyUntrusted, type Expected } from './copy-untrusted.ts';
import { removeBelow } from './remove-below.ts';

let root: string;
let from: string;
let secret: string;
let copies = 0;

before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-untrusted-'));
  await mkdir(path.join(root, 'others'));
  secret = path.join(root, 'others', 'secret');
  await writeFile(secret, 'of another team');
  from = path.join(root, 'staging', 'job', 'adapter');
});
after(() => rm(root, { recursive: true }));
beforeEach(async () => {
  await rm(path.join(root, 'staging'), { recursive: true, force: true });
  await mkdir(path.join(from, 'trial-01'), { recursive: true });
  await writeFile(path.join(from, 'a'), 'first');
  await writeFile(path.join(from, 'trial-01', 'b'), 'second');
});

const expected: Expected = {
  maxBytes: (name) => (['a', 'link', 'trial-01/b'].includes(name) ? 10 : null),
  isFolder: (name) => name === 'trial-01',
  totalBytes: 14,
};
const copy = async (of: Expected = expected) => {
  const to = path.join(root, `copy-${++copies}`);
  return { to, files: await copyUntrusted(path.join(root, 'staging'), from, to, of) };
};
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

describe('a folder that is not to be trusted', () => {
  it('is copied with the digests of the copies', async () => {
    const { to, files } = await copy();
    assert.deepEqual(files, [
      { path: 'a', bytes: 5, sha256: sha256('first') },
      { path: 'trial-01/b', bytes: 6, sha256: sha256('second') },
    ]);
    assert.equal(await readFile(path.join(to, 'trial-01', 'b'), 'utf8'), 'second');
    assert.equal((await stat(path.join(to, 'a'))).mode & 0o777, 0o644);
  });

  const faults: Record<string, [change: () => Promise<unknown>, of?: Expected]> = {
    'a link to a file': [() => symlink(secret, path.join(from, 'link'))],
    'a link to a folder': [
      async () => {
        await rm(path.join(from, 'trial-01'), { recursive: true });
        await symlink(path.dirname(secret), path.join(from, 'trial-01'));
      },
    ],
    'a second name of a file': [() => link(secret, path.join(from, 'link'))],
    'a pipe': [async () => execFileSync('mkfifo', [path.join(from, 'link')])],
    'a file that is too long': [() => truncate(path.join(from, 'a'), 11)],
    'too many bytes': [() => writeFile(path.join(from, 'link'), 'more')],
    'a file that does not belong there': [() => writeFile(path.join(from, 'c'), '')],
    'a folder that does not belong there': [() => mkdir(path.join(from, 'c'))],
    'a link above it': [
      async () => {
        const job = path.dirname(from);
        await rm(job, { recursive: true });
        await symlink(path.join(root, 'others'), job);
        await mkdir(path.join(root, 'others', 'adapter'), { recursive: true });
      },
    ],
    'more files than anybody writes': [
      async () => {
        for (let i = 0; i < 1001; i++) await writeFile(path.join(from, `n${i}`), '');
      },
      { maxBytes: () => 10, totalBytes: 100, isFolder: () => true },
    ],
  };
  for (const [what, [change, of]] of Object.entries(faults)) {
    it(`is refused with ${what}, and nothing is left`, async () => {
      await change();
      await assert.rejects(copy(of), {
        name: 'Error',
        message: /it holds|is not|is too long|another name|is a link/,
      });
      assert.equal((await readdir(root)).includes(`copy-${copies}`), false);
      assert.equal(await readFile(secret, 'utf8'), 'of another team');
    });
  }

  it('is refused with a file that changes while it is read', async () => {
    const changing: Expected = {
      ...expected,
      // Read between the check of a file's length and the first read of its content.
      get totalBytes() {
        appendFileSync(path.join(from, 'a'), '!');
        return 14;
      },
    };
    await assert.rejects(copy(changing), /a changed while it was read/);
  });

  it('is removed without following a link', async () => {
    await symlink(path.dirname(secret), path.join(from, 'trial-01', 'c'));
    await removeBelow(from, path.join(from, 'trial-01'));
    assert.deepEqual(await readdir(from), ['a']);
    await removeBelow(root, path.join(root, 'staging', 'job'));
    await removeBelow(root, path.join(root, 'staging', 'job'));
    assert.deepEqual(await readdir(path.join(root, 'staging')), []);
    await symlink(path.join(root, 'others'), path.join(root, 'staging', 'job'));
    await assert.rejects(removeBelow(root, path.join(root, 'staging', 'job', 'secret')), {
      code: /ELOOP|ENOTDIR/,
    });
    assert.equal(await readFile(secret, 'utf8'), 'of another team');
  });

  it('is removed though another process still writes files to it', async () => {
    for (let round = 0; round < 20; round++) {
      await mkdir(from, { recursive: true });
      let written = 0;
      const writing = (async () => {
        for (; written < 50; written++) await writeFile(path.join(from, `${written}`), 'late');
      })().catch((error: NodeJS.ErrnoException) => assert.equal(error.code, 'ENOENT'));
      while (written === 0) await setImmediate();
      await removeBelow(root, path.join(root, 'staging', 'job'));
      await writing;
    }
    assert.deepEqual(await readdir(path.join(root, 'staging')), []);
  });
});
