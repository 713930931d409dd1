import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { bundlePackages } from './bundle-packages.ts';

test('a process, and a thread of it, take a package from its bundle, and other packages from where they are', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'graft-bundles-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const options = await bundlePackages(folder);
  const script = `
    import { Type } from 'typebox';
    import { Value } from 'typebox/value';
    import { Worker } from 'node:worker_threads';
    const checks = Value.Check(Type.Object({ a: Type.Number() }), { a: 1 });
    const of = (name) => import.meta.resolve(name);
    const thread = "import('typebox').then(() => console.log(JSON.stringify(import.meta.resolve('typebox'))))";
    console.log(JSON.stringify([checks, of('typebox'), of('typebox/value'), of('pino')]));
    new Worker(new URL('data:text/javascript,' + encodeURIComponent(thread)), { type: 'module' });
  `;
  const args = ['--import', 'tsx', '--input-type=module', '-e', script];
  const ran = spawnSync(process.execPath, args, {
    cwd: resolve(import.meta.dirname, '../..'),
    env: { ...process.env, NODE_OPTIONS: options },
    encoding: 'utf8',
  });
  const [ofProcess, ofThread] = ran.stdout.trim().split('\n');
  const [checks, typebox, value, pino] = JSON.parse(ofProcess || '[]');
  assert.equal(checks, true, ran.stderr);
  assert.ok(typebox.includes('/graft-bundles-') && value.includes('/graft-bundles-'), ofProcess);
  assert.ok(pino.includes('/node_modules/pino/'), pino);
  assert.equal(JSON.parse(ofThread ?? ''), typebox, ran.stderr);
});
