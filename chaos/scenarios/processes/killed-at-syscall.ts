import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createJob, isOver, readJobs, untilJob } from '../../harness/jobs.ts';
import { faultsOf } from '../../harness/oracles/job-outcome.ts';
import type { WiredMember } from '../../harness/rig.ts';
import type { Run, Scenario } from '../../harness/scenario.ts';
import { type DurableCall, durableCalls, killAtSyscall } from '../../harness/services/syscall-kill.ts';
import { trainersOf } from '../../harness/services/trainers.ts';
import { brief } from '../../harness/workload.ts';

/** Each thread's calls are tried up to this one; checkpoint and publication occur before it. */
const furthest = { trainer: 12, worker: 40 };

interface Point {
  process: 'trainer' | 'worker';
  call: DurableCall;
  nth: number;
}

export const killedAtSyscall: Scenario = {
  name: 'killed-at-syscall',
  title: 'SIGKILL at each write, fsync, rename, …',
  about:
    'strace kills trainer or worker as it enters its n-th openat, write, fsync, rename, mkdir, unlink or rmdir of a job, for every n until the job ends first: in checkpoints and in publication. A reader finds nothing, or a version that verifies.',
  rounds: { short: 2, long: 400 },
  needs: ['strace'],
  testTimings: true,
  run: async (run) => {
    const { rig, report, rounds } = run;
    await run.control(brief);
    // One worker, so that every job runs on the traced one.
    for (const other of rig.workers.slice(1)) await rig.removeWorker(other);
    const worker = rig.workers[0]!;
    // In order and without gaps where there is time for that, otherwise at random.
    const points = rounds < 100 ? randomPoints(run) : everyPoint();
    const beyond = new Set<string>();
    for (const point of points) {
      const kind = `${point.process} ${point.call}`;
      if (report.tried >= rounds) break;
      if (beyond.has(kind)) continue;
      report.progress(`${report.tried + 1} of ${rounds}: ${kind} ${point.nth}`);
      const hit = await killAt(run, point, worker);
      if (!hit && rounds >= 100) beyond.add(kind);
    }
  },
};

/** The first calls of every kind before the second ones, so that a shorter run leaves out no kind. */
function* everyPoint(): Generator<Point> {
  for (let nth = 1; nth <= Math.max(...Object.values(furthest)); nth++)
    for (const process of ['worker', 'trainer'] as const)
      for (const call of durableCalls) if (nth <= furthest[process]) yield { process, call, nth };
}

function* randomPoints({ random, rounds }: Run): Generator<Point> {
  for (let i = 0; i < 4 * rounds; i++) {
    const process = random.pick(['worker', 'trainer'] as const);
    yield { process, call: random.pick(durableCalls), nth: 1 + random.below(process === 'worker' ? 2 : 5) };
  }
}

/** False: the job ended before that call. */
async function killAt(run: Run, point: Point, worker: WiredMember): Promise<boolean> {
  const { rig, report } = run;
  let pid = worker.pid;
  if (point.process === 'trainer') {
    if (trainersOf(worker).length === 0) await untilJob(rig, await createJob(rig, brief), isOver);
    pid = trainersOf(worker)[0] ?? null;
  }
  if (pid === null) return false;
  const kill = await killAtSyscall(
    pid,
    point.call,
    point.nth,
    path.join(rig.options.folder, `${worker.name}.log`),
  );
  // Attached before the kill, so that the end is seen immediately.
  const isSpared = point.process === 'worker' ? worker.expectEnd() : () => {};
  const job = await createJob(rig, brief);
  try {
    for (let over = false; !over && !kill.hit; await sleep(30)) {
      const row = (await readJobs(rig, [job])).get(job.id);
      over = row !== undefined && isOver(row);
    }
    if (!kill.hit) isSpared();
  } finally {
    await kill.release();
  }
  const hit = kill.hit;
  const since = performance.now();
  if (hit) {
    report.fault();
    job.strikes += 1;
  }
  await worker.ready();
  await untilJob(rig, job, isOver);
  if (hit) report.recovered(performance.now() - since);
  report.broken(
    `killed at ${point.call} ${point.nth} of the ${point.process}`,
    await faultsOf(rig, job, await run.control(brief)),
  );
  return hit;
}
