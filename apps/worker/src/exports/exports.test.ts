// Workers in separate processes that write exports, with an exporter that computes nothing; the last test has the real one.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AdapterVersion } from '@graft/service/adapters';
import { dataFolder } from '@graft/service/data-folder';
import {
  type AdapterExport,
  cancelExport,
  createExport,
  deleteExport,
  getExport,
} from '@graft/service/exports';
import { type ForkedWorker, forkWorker } from '../testing/forked-worker.ts';
import { storeVersion } from '../testing/store-version.ts';
import type { ExportTiming } from '../testing/timed-exporter.ts';
import { openWorkerBench, type WorkerBench } from '../testing/worker-bench.ts';

let bench: WorkerBench;
let version: AdapterVersion;
const workers: ForkedWorker[] = [];
const by = { keyId: 'key-test' };
/** A lease that a busy machine can renew in time; that of a dead worker on this machine ends at once. */
const settings = { GRAFT_WORKER_SLOTS: '0', GRAFT_LEASE_SECONDS: '40' };
const timedWorker = new URL('../testing/timed-export-worker.ts', import.meta.url);

before(async () => {
  bench = await openWorkerBench();
  version = await storeVersion(bench, 'poet');
});
after(() => bench.close());
afterEach(endWorkers);

async function endWorkers(): Promise<void> {
  for (const worker of workers.splice(0)) {
    worker.kill('SIGKILL');
    await worker.exited;
  }
}

async function startTimed(): Promise<ForkedWorker> {
  const worker = await forkWorker(bench.services, settings, timedWorker);
  workers.push(worker);
  return worker;
}

let asked = 0;
const quick: ExportTiming = { pieces: 3, pieceBytes: 1000, pieceMilliseconds: 10 };
const slow: ExportTiming = { pieces: 20, pieceBytes: 100_000, pieceMilliseconds: 150 };

async function request(
  timing: ExportTiming,
  reservedBytes = 10_000_000,
  of = version,
): Promise<AdapterExport> {
  const { services, teamId } = bench;
  // A number that only makes the options differ: the same options give the same export.
  const options = { ...timing, asked: asked++ };
  const wanted = { versionId: of.id, format: 'timed', options, reservedBytes, keep: false };
  return (await createExport(services, teamId, wanted, by)).made;
}

const read = async (made: AdapterExport) => await getExport(bench.services, made.teamId, made);

async function until(
  made: AdapterExport,
  holds: (row: AdapterExport) => boolean,
  seconds = 150,
): Promise<AdapterExport> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const row = (await read(made))!;
    if (holds(row)) return row;
    if (performance.now() > end) throw new Error(`Waited ${seconds} s in vain: ${JSON.stringify(row)}`);
    await sleep(20);
  }
}
const hasEnded = ({ status }: AdapterExport) => !['queued', 'running'].includes(status);
const isWriting = ({ done, total }: AdapterExport) => total !== null && done > 0;

/** Checks each file against its digest. */
async function filesOf({ stored }: AdapterExport): Promise<Map<string, Buffer>> {
  const folder = await bench.services.exports.localFolder(stored!.artifact);
  const files = new Map<string, Buffer>();
  for (const { path, sha256 } of stored!.files) {
    const bytes = await readFile(join(folder, path));
    assert.equal(createHash('sha256').update(bytes).digest('hex'), sha256);
    files.set(path, bytes);
  }
  return files;
}

/** Every file below the folder of staged exports. */
async function staged(): Promise<string[]> {
  const { exportStaging } = dataFolder(bench.services.env.dataDir);
  const entries = await readdir(exportStaging, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
}

/** The files that exporters write, in the staging folder, or in the slot of a worker that confines them. */
async function modelFiles(): Promise<string[]> {
  const { exportStaging, slots } = dataFolder(bench.services.env.dataDir);
  const listed = await Promise.all(
    [exportStaging, slots].map(async (folder) => {
      const names = await readdir(folder, { recursive: true }).catch(() => []);
      return names.filter((name) => basename(name) === 'model.bin').map((name) => join(folder, name));
    }),
  );
  return listed.flat();
}

/** Bytes of the largest of these files, without those that there were before. */
async function written(before: readonly string[]): Promise<number> {
  const files = (await modelFiles()).filter((file) => !before.includes(file));
  const sizes = files.map(async (file) => (await stat(file).catch(() => null))?.size ?? 0);
  return Math.max(0, ...(await Promise.all(sizes)));
}

async function storedNames(): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of bench.services.exports.list()) names.push(name);
  return names;
}

describe('exports', { timeout: 1_800_000 }, () => {
  it('kill -9 of the worker at ten points of the writing: another writes the same bytes, and no half file is listed', async () => {
    const size = slow.pieces * slow.pieceBytes;
    let digest: string | undefined;
    const moments: number[] = [];
    await startTimed();
    // Before the first byte, then after each tenth of the bytes; after the last one the worker copies and stores the file.
    for (let point = 0; point < 10; point++) {
      const before = await modelFiles();
      const made = await request(slow);
      // The next worker, which must not take the export first.
      await until(made, ({ status }) => status === 'running');
      const next = startTimed();
      while (point > 0 && (await written(before)) < (point / 9) * size && !hasEnded((await read(made))!))
        await sleep(5);
      const [lost] = workers.splice(0, 1);
      lost!.kill('SIGKILL');
      await lost!.exited;
      moments.push(await written(before));
      const left = (await read(made))!;
      const where = `point ${point}, ${moments.at(-1)} of ${size} bytes`;
      if (!hasEnded(left)) assert.equal(left.stored, null, where);
      // Every export that the store lists is whole, even if no row names it.
      for (const name of await storedNames())
        await bench.services.exports.localFolder(name, { afresh: true });
      await next;
      const row = await until(made, hasEnded);
      assert.equal(row.status, 'succeeded', `${where}: ${JSON.stringify(row.error)}`);
      assert.equal((await filesOf(row)).get('model.bin')!.length, size, where);
      digest ??= row.stored!.digest;
      assert.equal(row.stored!.digest, digest, where);
      assert.deepEqual(await staged(), [], where);
    }
    // The points are spread over the bytes.
    assert.ok(new Set(moments).size >= 6, moments.join());
  });

  it('a cancelled or deleted export ends within two seconds and leaves nothing', async () => {
    const worker = await startTimed();
    const before = await storedNames();
    for (const end of [cancelExport, deleteExport]) {
      const made = await request({ ...slow, pieces: 1000 }, 200_000_000);
      await until(made, isWriting);
      await end(bench.services, made, by);
      const start = performance.now();
      while (worker.childPid('timed-exporter') !== null) {
        // Two seconds, and as much for a busy machine.
        assert.ok(performance.now() - start < 4000, 'the exporter still runs');
        await sleep(50);
      }
      for (let i = 0; (await staged()).length > 0; i++) {
        assert.ok(i < 40, 'staged files are left');
        await sleep(50);
      }
    }
    assert.deepEqual(await storedNames(), before);
  });

  it('a lost exporter, a full disk: tried again, and the reason is shown meanwhile', async () => {
    const worker = await startTimed();
    const killed = await request(slow);
    await until(killed, isWriting);
    process.kill(worker.childPid('timed-exporter')!, 'SIGKILL');
    const row = await until(killed, hasEnded);
    assert.deepEqual([row.status, row.environmentFaults, row.attempts], ['succeeded', 1, 1]);

    const full = await request({ ...quick, does: 'fill the disk' });
    const waiting = await until(full, ({ status, error }) => status === 'queued' && error !== null);
    assert.deepEqual([waiting.error!.code, waiting.stored, waiting.done], ['storage_full', null, 0]);
    await bench.services.sql.query(
      'UPDATE adapter_exports SET environment_faults = 7, run_after = now() WHERE id = $1',
      [full.id],
    );
    const failed = await until(full, hasEnded);
    assert.deepEqual([failed.status, failed.error!.code], ['failed', 'storage_full']);
    assert.deepEqual(await staged(), []);
  });

  it('refuses files that no exporter writes, and more bytes than the format promised', async () => {
    await startTimed();
    const odd = await request({ ...quick, does: 'odd name' });
    const long = await request(quick, 2999);
    for (const made of [odd, long]) {
      const row = await until(made, hasEnded);
      assert.deepEqual([row.status, row.error!.code, row.stored], ['failed', 'export_failed', null]);
    }
    assert.deepEqual(await staged(), []);
  });

  it('says so where the version or the base model is gone', async () => {
    const { services, teamId } = bench;
    const deleted = await storeVersion(bench, 'short-lived');
    const made = await request(quick, 10_000, deleted);
    const where = { teamId, id: deleted.id };
    await services.db.adapterVersion.updateMany({ where, data: { deletedAt: new Date() } });
    const vanished = await storeVersion(bench, 'homeless');
    await services.sql.query(`UPDATE adapters SET base_model = 'gone' WHERE id = $1`, [vanished.adapterId]);
    const homeless = await request(quick, 10_000, vanished);
    await startTimed();
    const { status, error } = await until(made, hasEnded);
    assert.deepEqual(
      [status, error!.code, error!.message],
      ['failed', 'adapter_version_not_found', 'The version was deleted before it was exported.'],
    );
    const second = await until(homeless, (row) => row.error !== null && row.status === 'queued');
    assert.equal(second.error!.code, 'base_model_unavailable');
    assert.match(
      second.error!.message,
      /^The base model gone is not available on the workers of this server/,
    );
    await deleteExport(services, second, by);
  });

  it('a worker that stops releases its export without an attempt', async () => {
    const worker = await startTimed();
    const made = await request({ ...slow, pieces: 1000 }, 200_000_000);
    await until(made, isWriting);
    worker.kill('SIGTERM');
    await worker.exited;
    const row = (await read(made))!;
    assert.deepEqual([row.status, row.attempts, row.error], ['queued', 0, null]);
    assert.deepEqual(await staged(), []);
    await deleteExport(bench.services, row, by);
  });

  it('writes a real model', async () => {
    const { services, teamId } = bench;
    const options = { dtype: 'stored', max_shard_bytes: 5_000_000_000, base: 'original' };
    const wanted = {
      versionId: version.id,
      format: 'merged',
      options,
      reservedBytes: 10_000_000,
      keep: false,
    };
    const { made } = await createExport(services, teamId, wanted, by);
    workers.push(await forkWorker(services, settings));
    const row = await until(made, hasEnded);
    assert.deepEqual([row.status, row.error], ['succeeded', null]);
    const files = await filesOf(row);
    assert.ok(files.has('config.json') && files.has('tokenizer.json'));
    const base = await readFile(join(bench.modelFolder('tiny'), 'model.safetensors'));
    assert.notDeepEqual(files.get('model.safetensors'), base);
    assert.deepEqual(await staged(), []);
  });
});
