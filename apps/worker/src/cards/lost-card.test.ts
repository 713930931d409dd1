// A worker with two cards, as nvidia-smi lists them. Services and processes are real; the trainers only wait.
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { cancelJob, dispatchJobs, type Job, type WorkerCapabilities } from '@graft/service/jobs';
import { registerWorker } from '@graft/service/workers';
import type { CardFault } from '../faults/card-fault.ts';
import { deviceProof } from '../health/proofs.ts';
import { WorkerHealth } from '../health/worker-health.ts';
import { type FakeSmi, fakeSmi, oneCard, prints, twoCards, uuids } from '../testing/fake-smi.ts';
import { timedTrainer } from '../testing/killed-trainer.ts';
import { openWorkerBench, type WorkerBench } from '../testing/worker-bench.ts';
import { engineProof } from '../training/engine-proof.ts';
import { type LeaseLoop, startLeaseLoop } from '../training/lease-loop.ts';
import { TrainerProcess } from '../training/trainer-process.ts';
import { CardWatch } from './card-watch.ts';
import type { Card } from './parse-cards.ts';

const workerId = 'of-two-cards';
let bench: WorkerBench;
let smi: FakeSmi;
let worker: { cards: CardWatch; health: WorkerHealth; trainers: TrainerProcess[]; loop: LeaseLoop } | null =
  null;
let changes: [string, string | null][] = [];

before(async () => {
  smi = fakeSmi();
  bench = await openWorkerBench();
});
after(async () => {
  await bench.close();
  await smi.close();
});
afterEach(async () => {
  await worker?.loop.stop();
  await worker?.health.stop();
  for (const trainer of worker?.trainers ?? []) await trainer.close();
  worker = null;
});

const card = (index: number, uuid: string, name = 'NVIDIA H100 PCIe'): Card => ({
  kind: 'gpu',
  index,
  uuid,
  name,
  memoryMib: 81_559,
});

async function start(devices: Card[], proofSeconds = 1): Promise<NonNullable<typeof worker>> {
  const { services } = bench;
  changes = [];
  const cards = new CardWatch(devices, ({ uuid }, fault) =>
    changes.push([uuid, fault && (fault as CardFault).code]),
  );
  const trainers = devices.map(
    (device) =>
      new TrainerProcess({
        entry: timedTrainer,
        device,
        log: services.log,
        stallMilliseconds: 20_000,
        idleMilliseconds: 20_000,
      }),
  );
  const capabilities: WorkerCapabilities = {
    device: 'gpu',
    threads: 1,
    precisions: ['bf16', 'fp32'],
    gpus: [...new Set(devices.map(({ name }) => name))],
  };
  const row = { id: workerId, address: null, hostname: 'test', pid: process.pid, slots: 2 };
  await registerWorker(services, { ...row, capabilities });
  const computing = { precision: 'bf16', threads: 1 } as const;
  const health = new WorkerHealth({
    services,
    workerId,
    proofSeconds,
    cards,
    cheap: [deviceProof(cards)],
    thorough: [
      engineProof(trainers, computing, {
        cards,
        isServing: () => true,
        onKernels: () => {},
        onSpeed: () => {},
      }),
    ],
  });
  await until(() => health.acceptsJobs);
  const loop = startLeaseLoop({
    services,
    workerId,
    capabilities: () => capabilities,
    health,
    cards,
    trainers,
    log: services.log,
    readings: { of: () => ({ usedBytes: 40e9, totalBytes: 80e9, utilization: 0.9, temperature: null }) },
    times: { leaseSeconds: 60, heartbeatSeconds: 5, pollMilliseconds: 200 },
    drainMilliseconds: 5000,
    code: { version: '0.0.0', commit: null },
  });
  worker = { cards, health, trainers, loop };
  return worker;
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (await holds()) return;
    await sleep(50);
  }
  assert.fail('waited in vain');
}

const row = async () => await bench.services.db.worker.findUniqueOrThrow({ where: { id: workerId } });

/** Runs jobs and returns the cards that they ran on. */
async function train(...jobs: Job[]): Promise<Set<string>> {
  await dispatchJobs(bench.services);
  for (const { id } of jobs) await bench.untilState(id, 'succeeded', 60);
  const { rows } = await bench.services.sql.query<{ device: string }>(
    "SELECT lineage->>'device' AS device FROM adapter_versions WHERE job_id = ANY($1)",
    [jobs.map(({ id }) => id)],
  );
  return new Set(rows.map(({ device }) => device));
}

describe('a worker with two cards', { timeout: 180_000 }, () => {
  it('continues with one GPU when the other is lost, uses it again later, and accepts no job without any', async () => {
    smi.says(prints(twoCards));
    const { cards, health, trainers } = await start([card(0, uuids.h100), card(1, uuids.other)]);
    assert.deepEqual(changes, []);

    smi.says(prints(oneCard));
    await until(() => cards.faultOf(trainers[1]!.device) !== null);
    assert.deepEqual([health.acceptsJobs, (await row()).quarantinedAt], [true, null]);
    const pid = trainers[1]!.pid;
    const jobs = [await bench.queueTimedJob({ steps: 2 }), await bench.queueTimedJob({ steps: 2 })];
    await train(...jobs);
    assert.equal(trainers[1]!.pid, pid, 'nothing was started on the lost card');
    const { environmentFaults, progress } = await bench.job(jobs[0]!.id);
    assert.equal(environmentFaults, 0);
    assert.deepEqual(progress?.gpu, {
      model: 'NVIDIA H100 PCIe',
      usedBytes: 40e9,
      totalBytes: 80e9,
      utilization: 0.9,
      temperature: null,
    });

    smi.says(prints('No devices were found', 6));
    await until(async () => (await row()).quarantinedAt !== null);
    assert.match((await row()).quarantineReason!, /No devices were found.*gpu_not_found/);

    smi.says(prints(twoCards));
    await until(() => health.acceptsJobs);
    assert.deepEqual(changes, [
      [uuids.other, 'gpu_lost'],
      [uuids.other, null],
    ]);
  });

  it('sends a job elsewhere whose card fails, and is not to blame itself', async () => {
    smi.says(prints(twoCards));
    const { health } = await start([card(0, uuids.h100), card(1, uuids.other)], 60);
    const job = await bench.queueTimedJob({ steps: 2, atStep: { step: 2, does: 'lost card' } });
    await dispatchJobs(bench.services);
    await bench.until(job.id, ({ environmentFaults }) => environmentFaults === 1);
    assert.deepEqual([health.acceptsJobs, (await row()).consecutiveFaults], [true, 0]);
    const messages = (await bench.messages(job.id)).join('\n');
    assert.match(
      messages,
      /cannot run this job, job goes elsewhere in 1 min: The worker cannot continue: its GPU is lost/,
    );
    // The card is checked after the job and passes.
    await until(() => changes.length === 2);
    assert.deepEqual(
      changes.map(([, code]) => code),
      ['gpu_lost', null],
    );
    await cancelJob(bench.services, bench.teamId, job.id, { keyId: 'key-test' });
  });

  it('computes a job on the GPU model that it started on', async () => {
    smi.says(prints(`${oneCard}\n1, ${uuids.other}, NVIDIA L4, 23034, Disabled`));
    await start([card(0, uuids.h100), card(1, uuids.other, 'NVIDIA L4')]);
    const jobs = await Promise.all([1, 2, 3].map(() => bench.queueTimedJob({ steps: 2 })));
    const begun = { precision: 'bf16', threads: 1, device: 'gpu', gpu: 'NVIDIA L4' } as const;
    for (const { id } of jobs)
      await bench.services.db.job.update({ where: { id }, data: { requirements: begun } });
    assert.deepEqual([...(await train(...jobs))], ['NVIDIA L4']);

    // One job was started by a version that recorded no GPU model, the other on a GPU model that no worker has.
    const { gpu: _, ...any } = begun;
    const [old, other, fresh] = [
      await bench.queueTimedJob({ steps: 2 }),
      await bench.queueTimedJob({ steps: 2 }),
      await bench.queueTimedJob({ steps: 2 }),
    ] as const;
    const change = (id: string, requirements: object) =>
      bench.services.db.job.update({ where: { id }, data: { requirements } });
    await change(old.id, any);
    await change(other.id, { ...begun, gpu: 'NVIDIA A100-SXM4-40GB' });
    await train(old, fresh);
    assert.equal((await bench.job(other.id)).state, 'queued');
    const { requirements } = await bench.job(fresh.id);
    const { rows } = await bench.services.sql.query(
      "SELECT lineage->>'device' AS device FROM adapter_versions WHERE job_id = $1",
      [fresh.id],
    );
    assert.equal(requirements?.gpu, rows[0].device, 'what it requires is what it was computed on');
    assert.deepEqual([requirements?.device, (await bench.job(old.id)).requirements?.gpu], ['gpu', undefined]);
  });
});
