import { closeSync, ftruncateSync, openSync, readdirSync, readSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { holderOf } from '../../harness/holder.ts';
import { createJob, isOver, untilJob } from '../../harness/jobs.ts';
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
    for (let round = 1; round <= run.rounds; round++) await damageOne(run, round);
  },
};

async function damageOne(run: Run, round: number): Promise<void> {
  const { rig, report } = run;
  const random = run.random.ofRound(round);
  const variant = random.pick(variants);
  const control = await run.control(variant);
  const job = await createJob(rig, variant);
  const wanted = 20 + random.below(80);
  const row = await untilJob(
    rig,
    job,
    (now) => isOver(now) || (now.state === 'running' && now.step >= wanted),
  );
  const holder = await holderOf(rig, row);
  if (!holder) return;
  const since = performance.now();
  // Stopped first, so that it adds no newer one while this one is damaged.
  const trainers = trainersOf(holder);
  for (const pid of trainers) signalProcess(pid, 'SIGSTOP');
  await sleep(20);
  const file = random.pick(filesOfNewest(path.join(rig.dataFolder, 'checkpoints', job.id)));
  const how = damage(file, random);
  for (const pid of trainers) signalProcess(pid, 'SIGKILL');
  report.fault();
  report.progress(`round ${round} of ${run.rounds}: ${path.basename(file)} ${how}`);
  job.strikes += 1;
  report.recovered(await recoveryOf(rig, job, row, since, 120, 'claim'));
  await untilJob(rig, job, isOver);
  report.broken(`job ${job.id}, ${path.basename(file)} ${how}`, await faultsOf(rig, job, control));
}

/** Files of the checkpoint folder of the highest step, whatever folders lie between. */
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
