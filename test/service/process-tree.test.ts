import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { descendants } from './process-tree.ts';

test('children and grandchildren are found, without `ps` where there is /proc', async () => {
  const script =
    "console.log(require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']).pid)";
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const path = process.env.PATH;
  try {
    const [grandchild] = (await once(child.stdout, 'data')).map(Number);
    if (process.platform === 'linux') process.env.PATH = '/nonexistent';
    assert.deepEqual(descendants(child.pid!), [grandchild]);
    assert.ok(descendants(process.pid).includes(grandchild!));
    process.kill(grandchild!, 'SIGKILL');
  } finally {
    process.env.PATH = path;
    child.kill('SIGKILL');
  }
});
