import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AcceptedJob, createJob } from '../../harness/jobs.ts';
import { untilAllOver } from '../../harness/load.ts';
import { faultsOf } from '../../harness/oracles/job-outcome.ts';
import type { Scenario } from '../../harness/scenario.ts';
import { quick } from '../../harness/workload.ts';

export const brokenWorker: Scenario = {
  name: 'broken-worker',
  title: 'a broken worker beside a healthy one',
  about:
    'a worker joins that cannot work: its data folder is not the shared one, its base models are missing, or it can write neither temporary nor cached files. The jobs that wait go to the healthy one; none fails.',
  rounds: { short: 2, long: 100 },
  run: async (run) => {
    const { rig, random, report, rounds } = run;
    const control = await run.control(quick);
    const kinds = ['no shared data folder', 'no base models', 'nowhere to write'] as const;
    for (const kind of run.rounds > 20 ? kinds : [random.pick(kinds.slice(0, 2))]) {
      const own = path.join(rig.options.folder, `broken ${kind}`);
      mkdirSync(own, { recursive: true });
      report.progress(`a worker with ${kind} joins`);
      // Does not wait until it is ready: it may refuse to start.
      const worker = await rig.startWorker({
        env:
          kind === 'no shared data folder'
            ? { GRAFT_DATA_DIR: path.join(own, 'data') }
            : kind === 'no base models'
              ? { GRAFT_BASE_MODELS: '' }
              : // The TypeScript loader would end the process before the worker starts.
                { TMPDIR: '/dev/full', GRAFT_CACHE_DIR: '/proc/none', TSX_DISABLE_CACHE: '1' },
        ready: false,
      });
      await sleep(1000);
      const jobs: AcceptedJob[] = [];
      const count = Math.ceil(rounds / (rounds > 20 ? kinds.length : 1));
      for (let i = 0; i < count; i++) jobs.push(await createJob(rig, quick));
      await untilAllOver(run, jobs, 120 + 30 * count);
      for (const job of jobs) {
        report.fault();
        // A refunded attempt does not count.
        report.broken(`job ${job.id}, beside a worker with ${kind}`, await faultsOf(rig, job, control));
      }
      await rig.removeWorker(worker, 'kill');
    }
  },
};
