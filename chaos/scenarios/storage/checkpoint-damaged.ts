import { closeSync, ftruncateSync, openSync, readdirSync, readSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { holderOf } from '../../harness/holder.ts';
import { createJob, isOver, readJobs, untilJob } from '../../harness/jobs.ts';
import { faultsOf } from '../../harness/oracles/job-outcome.ts';
import type { Random } from '../../harness/random.ts';
import { recoveryOf } from '../../harness/recovery.ts';
import type { Run, Scenario } from '../../harness/scenario.ts';
import { signalProcess } from '../../harness/services/started.ts';
import { trainersOf } from '../../harness/services/trainers.ts';
import { variants } from '../../harness/workload.ts';

export const checkpointDamaged: Scenario = {
  name: 'checkpoint-damaged',
  title: 'truncated and bit-flipped checkpoints',
  about:
    'the trainer is killed, and a file of its newest checkpoint is cut short, has one bit turned, or is emptied. The one before is used, and the final bits are the same.',
  rounds: { short: 1, long: 200 },
  run: async (run) => {
    let round = 0;
    // As many concurrent jobs as there are workers.
    const spoiler = async () => {
      while (round < run.rounds) await spoil(run, () => (round < run.rounds ? ++round : null));
    };
    await Promise.all(run.rig.workers.map(spoiler));
  },
};

/** Damages the checkpoints of one job again and again until it ends. `next` returns the number of a round; null: no rounds left. */
async function spoil(run: Run, next: () => number | null): Promise<void> {
  const { rig, report } = run;
  const first = next();
  if (first === null) return;
  let random = run.random.forRound(first);
  const variant = random.pick(variants);
  const job = await createJob(rig, variant);
  const damages: string[] = [];
  for (let round: number | null = first, reached = 12; round !== null; round = next()) {
    random = run.random.forRound(round);
    const wanted = reached + random.below(20);
    // A second immediate loss would be charged to the job; by then it has written a new checkpoint.
    const row = await untilJob(
      rig,
      job,
      (now) =>
        isOver(now) || (now.state === 'running' && now.step >= wanted && now.attempts_since_checkpoint <= 1),
    );
    const holder = isOver(row) ? null : await holderOf(rig, row);
    if (!holder) break;
    const since = performance.now();
    const trainers = trainersOf(holder);
    // Stopped first, so that it writes no newer checkpoint meanwhile.
    for (const pid of trainers) signalProcess(pid, 'SIGSTOP');
    await sleep(20);
    const now = (await readJobs(rig, [job])).get(job.id);
    if (now?.state !== 'running' || now.lease_epoch !== row.lease_epoch) {
      // It has ended meanwhile: the trainer may already work on the other job.
      for (const pid of trainers) signalProcess(pid, 'SIGCONT');
      break;
    }
    const file = random.pick(filesOfNewest(path.join(rig.dataFolder, 'checkpoints', job.id)));
    damages.push(`${path.basename(file)} ${damage(file, random)} at step ${row.step}`);
    for (const pid of trainers) signalProcess(pid, 'SIGKILL');
    report.fault();
    report.progress(`round ${round} of ${run.rounds}: ${damages.at(-1)}`);
    job.strikes += 1;
    report.recovered(await recoveryOf(rig, job, row, since, 120, 'claim'));
    // Waits until after the next checkpoint.
    reached = row.step + 8;
  }
  await untilJob(rig, job, isOver);
  report.broken(`job ${job.id}, ${damages.join(', ')}`, await faultsOf(rig, job, await run.control(variant)));
}

/** Files of the checkpoint folder of the highest step, at any depth. */
function filesOfNewest(root: string): string[] {
  const manifests = readdirSync(root, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && /^step-\d+$/.test(path.basename(entry.parentPath)),
  );
  const stepOf = (folder: string) => Number(path.basename(folder).slice('step-'.length));
  const newest = Math.max(...manifests.map(({ parentPath }) => stepOf(parentPath)));
  return manifests
    .filter(({ parentPath }) => stepOf(parentPath) === newest)
    .map(({ parentPath, name }) => path.join(parentPath, name));
}

function damage(file: string, random: Random): string {
  const { size } = statSync(file);
  const handle = openSync(file, 'r+');
  try {
    const at = random.below(size);
    if (random.next() < 0.5) {
      const length = random.next() < 0.2 ? 0 : at;
      ftruncateSync(handle, length);
      return `cut to ${length} of ${size} bytes`;
    }
    const byte = Buffer.alloc(1);
    readSync(handle, byte, 0, 1, at);
    const bit = random.below(8);
    byte[0] = byte[0]! ^ (1 << bit);
    writeSync(handle, byte, 0, 1, at);
    return `bit ${bit} of byte ${at} turned`;
  } finally {
    closeSync(handle);
  }
}
