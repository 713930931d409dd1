import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { test } from 'node:test';
import { reachableHost } from './reachable-host.ts';

test('a worker on all addresses is reached by its own name, which differs between containers', () => {
  for (const wildcard of ['0.0.0.0', '::']) assert.equal(reachableHost(wildcard), hostname());
  assert.equal(reachableHost('127.0.0.1'), '127.0.0.1');
  assert.equal(reachableHost('worker.internal'), 'worker.internal');
  assert.equal(reachableHost('fd00::1'), '[fd00::1]');
});
