import assert from 'node:assert/strict';
import { test } from 'node:test';
import { registerWorker } from '@graft/service';
import { openTestServices } from '@graft/service/testing';
import { graftIn, temporaryFolder } from '../testing/run-graft.ts';

test('workers are listed with what they say of their machines, if anything', async (t) => {
  const services = await openTestServices();
  t.after(() => services.close());
  const worker = { address: null, hostname: 'train-1', pid: 1, slots: 1 };
  await registerWorker(services, { ...worker, id: 'earlier' });
  await registerWorker(services, {
    ...{ ...worker, id: 'known' },
    capabilities: {
      ...{ device: 'cpu', threads: 2, precisions: ['fp32'] },
      ...{ memoryBytes: 14.2e9, flops: { fp32: 2e11 } },
    },
  });
  const { databaseUrl, env } = services;
  const service = { DATABASE_URL: databaseUrl, GRAFT_DATA_DIR: env.dataDir };
  const { ok, json } = graftIn(temporaryFolder(t), service);
  const { stdout } = await ok(['admin', 'workers', 'list']);
  assert.match(stdout, /^known +train-1 +cpu +14\.2 GB +0 of 1 /m);
  assert.match(stdout, /^earlier +train-1 +0 of 1 /m);
  const { data } = await json(['admin', 'workers', 'list']);
  assert.deepEqual(
    data.map((row: Record<string, unknown>) => [row.id, row.memory_bytes, row.flops]),
    [
      ['known', 14.2e9, { fp32: 2e11 }],
      ['earlier', null, null],
    ],
  );
  // Of the same service, the versions of its secrets.
  const rotated = await json(['admin', 'secrets', 'rotate']);
  assert.deepEqual(rotated.made, [{ setting: 'GRAFT_PEPPER', version: 2 }]);
  const status = await ok(['admin', 'secrets', 'status']);
  assert.match(status.stdout, /^GRAFT_PEPPER +2 +current +0 /m);
  assert.match(status.stdout, /^GRAFT_PEPPER +1 +held .*now$/m);
  const dropped = await ok(['admin', 'secrets', 'drop', '1']);
  assert.match(dropped.stdout, /^Dropped version 1 of the pepper/);
});
