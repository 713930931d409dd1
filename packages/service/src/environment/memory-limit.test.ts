import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { memoryLimit } from './memory-limit.ts';

const GiB = 2 ** 30;
let folder: string;
let roots = 0;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-memory-'));
});
after(() => rm(folder, { recursive: true }));

/** Creates a folder with these files, for use as the root that contains `proc` and `sys`. */
async function rootWith(files: Record<string, string>): Promise<string> {
  const root = join(folder, String(++roots));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return root;
}

describe('memoryLimit', () => {
  it('takes the smallest of version 2 from the group upwards', async () => {
    const root = await rootWith({
      'proc/self/cgroup': '0::/kubepods/pod1/worker\n',
      'sys/fs/cgroup/kubepods/pod1/worker/memory.max': 'max\n',
      'sys/fs/cgroup/kubepods/pod1/memory.max': `${4 * GiB}\n`,
      'sys/fs/cgroup/kubepods/memory.max': `${16 * GiB}\n`,
    });
    assert.equal(memoryLimit(root), 4 * GiB);
  });

  it('takes that of version 1, beside version 2 without the controller', async () => {
    const root = await rootWith({
      'proc/self/cgroup': '5:pids:/a\n4:cpu,memory:/docker/worker\n1:name=systemd:/a\n0::/a\n',
      'sys/fs/cgroup/memory/docker/worker/memory.limit_in_bytes': `${2 * GiB}\n`,
      'sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
      'sys/fs/cgroup/pids/a/memory.limit_in_bytes': '1\n',
    });
    assert.equal(memoryLimit(root), 2 * GiB);
  });

  it('finds that of a container, whose group has a name outside it', async () => {
    const files = { 'sys/fs/cgroup/memory.max': `${3 * GiB}\n` };
    for (const path of ['/', '/../other', '/docker/worker'])
      assert.equal(
        memoryLimit(await rootWith({ ...files, 'proc/self/cgroup': `0::${path}\n` })),
        3 * GiB,
        path,
      );
  });

  it('is infinite without a limit or without control groups', async () => {
    const files = { 'proc/self/cgroup': '0::/a\n', 'sys/fs/cgroup/a/memory.max': 'max\n' };
    assert.equal(memoryLimit(await rootWith(files)), Number.POSITIVE_INFINITY);
    assert.equal(memoryLimit(await rootWith({})), Number.POSITIVE_INFINITY);
  });
});
