/** Processes that are killed, or lose their lease, while they publish. */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type { Services } from '../services.ts';
import { openS3Server } from '../storage/testing/s3-server.ts';
import { getPublication } from './manage-publications.ts';
import { startPublicationSender } from './send/publication-sender.ts';
import { PublicationBench } from './testing/publication-bench.ts';
import { quick } from './testing/quick.ts';

let bench: PublicationBench;
before(async () => {
  bench = await PublicationBench.open();
});
beforeEach(async () => await bench.reset());
afterEach(async () => await bench.endTest());
after(async () => await bench?.close());

for (const [name, commitIsMade] of [
  ['killed between upload and commit', false],
  ['killed after a commit whose answer nobody got', true],
] as const)
  test(`a process that is ${name} leaves its work to the next`, async () => {
    const made = await bench.storeExport();
    let child: ChildProcess | undefined;
    bench.hub.beforeCommit = async () => {
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
      if (!commitIsMade) throw new Error('cut');
    };
    const queued = await bench.create({ exportId: made.id });
    const { env, databaseUrl } = bench.services;
    child = fork(new URL('testing/publishing-process.ts', import.meta.url), {
      execArgv: ['--import', 'tsx'],
      env: {
        ...process.env,
        DATABASE_URL: databaseUrl,
        GRAFT_DATA_DIR: env.dataDir,
        GRAFT_INTEGRATION_ALLOW: '127.0.0.1',
        HF_ENDPOINT: bench.hub.endpoint,
      },
    });
    await once(child, 'exit');
    assert.equal(child.signalCode, 'SIGKILL');
    const left = await getPublication(bench.services, bench.team.id, queued);
    assert.deepEqual([left!.status, left!.made], ['running', null]);
    const puts = bench.hub.puts;
    await bench.start();
    const { status, attempts, made: published } = await bench.ended(queued);
    assert.equal(status, 'succeeded');
    assert.ok(attempts >= 2);
    assert.equal(bench.commits().length, 1);
    assert.equal(bench.commits()[0]!.sha, published!.commit);
    assert.equal(bench.hub.puts, puts, 'large files are not sent again');
  });

test('two processes that send the same, because one has lost its lease, make one commit', async () => {
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  let arrived = 0;
  bench.hub.beforeCommit = async () => {
    if (++arrived === 1) await gate;
  };
  const queued = await bench.create();
  // Never renews: as if it stood still.
  const stuck = startPublicationSender(
    { ...bench.services, sql: { ...bench.services.sql, query: frozen(bench.services.sql) } as never },
    { ...quick, leaseSeconds: 2, idleMs: 20_000 },
  );
  await bench.until(queued, ({ status }) => status === 'running' && arrived === 1);
  await bench.start();
  const { status } = await bench.ended(queued);
  release();
  await stuck.close();
  assert.deepEqual([status, bench.commits().length], ['succeeded', 1]);
});

test('files of a bucket are published, from the local cache', async () => {
  const server = await openS3Server();
  const onS3 = await PublicationBench.open({
    ARTIFACTS_URL: `s3://${server.bucket}/graft`,
    GRAFT_S3_ENDPOINT: server.endpoint,
  });
  await onS3.reset();
  const made = await onS3.storeExport();
  await onS3.start();
  assert.equal((await onS3.ended(await onS3.create({ exportId: made.id }))).status, 'succeeded');
  assert.deepEqual(onS3.filesOf(), ['README.md', 'config.json', 'model.safetensors']);
  // The bucket is unavailable: tried again, and nothing is visible.
  const waiting = await storedAgain(onS3);
  await server.close();
  const { error } = await onS3.failing(waiting);
  assert.equal(error!.code, 'storage_away');
  assert.equal(onS3.hub.repositories.has('org/second'), false);
  await onS3.endTest();
  await onS3.close();
});

/** A publication whose files are not in the cache, with a sender that starts afterwards. */
async function storedAgain(onS3: PublicationBench) {
  await onS3.stop();
  const made = await onS3.storeExport('gguf');
  const waiting = await onS3.create({ exportId: made.id, repository: 'org/second' });
  setImmediate(() => void onS3.start());
  return waiting;
}

/** A pool's query that drops renewals of leases. */
function frozen(pool: Services['sql']): unknown {
  return async (...args: Parameters<Services['sql']['query']>) => {
    const { text } = args[0] as { text?: string };
    if (text?.startsWith('UPDATE publications SET lease_until = now() +')) return { rowCount: 1 };
    return await pool.query(...args);
  };
}
