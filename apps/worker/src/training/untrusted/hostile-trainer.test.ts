// A trainer that an attacker has taken over: its messages and its files. Real Postgres, files and processes, one slot.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { cancelJob, type Job, readMetrics } from '@graft/service/jobs';
import { attacks } from '../../testing/hostile-trainer.ts';
import { timedTrainer } from '../../testing/killed-trainer.ts';
import { startJob } from '../../testing/start-job.ts';
import { openWorkerBench, type WorkerBench } from '../../testing/worker-bench.ts';
import { TrainerProcess } from '../trainer-process.ts';

const hostileTrainer = new URL('../../testing/hostile-trainer.ts', import.meta.url);
let bench: WorkerBench;
let hostile: TrainerProcess;
let honest: TrainerProcess;
let victim: { folder: string; file: string };

before(async () => {
  bench = await openWorkerBench();
  const limits = { stallMilliseconds: 20_000, idleMilliseconds: 60_000 };
  const common = { device: { kind: 'cpu' }, log: bench.services.log, ...limits } as const;
  hostile = new TrainerProcess({ entry: hostileTrainer, ...common });
  honest = new TrainerProcess({ entry: timedTrainer, ...common });
  const job = await bench.queueTimedJob({ snapshotSteps: 2 });
  assert.equal(await (await startJob(bench.services, job, honest)).outcome, 'succeeded');
  const { rows } = await bench.services.sql.query('SELECT artifact FROM adapter_versions WHERE job_id = $1', [
    job.id,
  ]);
  const folder = await bench.services.artifacts.localFolder(rows[0].artifact);
  victim = { folder, file: join(folder, 'adapter_config.json') };
});
after(async () => {
  await hostile?.close();
  await honest?.close();
  await bench?.close();
});

/** The digest of every file in the data folder except those of this job. */
async function bytesOfOthers(job: Job): Promise<Record<string, string>> {
  const { dataDir } = bench.services.env;
  const digests: Record<string, string> = {};
  for (const kind of ['artifacts', 'files', 'checkpoints', 'staging', 'secrets']) {
    const entries = await readdir(join(dataDir, kind), { recursive: true, withFileTypes: true });
    for (const entry of entries) {
      const path = join(entry.parentPath, entry.name);
      if (!entry.isFile() || path.includes(job.id)) continue;
      digests[path] = createHash('sha256')
        .update(await readFile(path))
        .digest('hex');
    }
  }
  return digests;
}

const countOf = async (table: string, { id }: Job) =>
  (await bench.services.sql.query(`SELECT count(*)::int AS count FROM ${table} WHERE job_id = $1`, [id]))
    .rows[0].count as number;

describe('a hostile trainer', () => {
  for (const attack of Object.keys(attacks) as (keyof typeof attacks)[]) {
    it(`reaches nothing with ${attack}`, async () => {
      const job = await bench.queueJob(JSON.stringify({ attack, ...victim }));
      const before = await bytesOfOthers(job);
      const memory = process.memoryUsage.rss();
      const outcome = await (await startJob(bench.services, job, hostile)).outcome;
      assert.equal(outcome, 'requeued');
      assert.deepEqual(await bytesOfOthers(job), before);
      assert.equal(hostile.pid, null, 'it was ended');
      assert.ok(process.memoryUsage.rss() - memory < 200 * 2 ** 20, 'little of it was kept');
      const messages = await bench.messages(job.id);
      assert.ok(
        messages.some((message) => /[Tt]he trainer (sent what|was ended)/.test(message)),
        String(messages),
      );
      assert.ok(messages.length < 20, String(messages));
      for (const table of ['adapter_versions', 'checkpoints']) assert.equal(await countOf(table, job), 0);
      const { data: metrics } = await readMetrics(bench.services, bench.teamId, job.id, { limit: 10 });
      assert.ok(metrics.length <= 1);
      await cancelJob(bench.services, bench.teamId, job.id, { keyId: 'key-test' });
    });
  }

  it('keeps nobody from the next job', async () => {
    assert.equal(({} as { polluted?: number }).polluted, undefined);
    const job = await bench.queueTimedJob({});
    assert.equal(await (await startJob(bench.services, job, honest)).outcome, 'succeeded');
  });
});
