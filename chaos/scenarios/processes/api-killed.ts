import { setTimeout as sleep } from 'node:timers/promises';
import { type AcceptedJob, createJob } from '../../harness/jobs.ts';
import { untilAllOver } from '../../harness/load.ts';
import { faultsOf } from '../../harness/oracles/job-outcome.ts';
import type { Scenario } from '../../harness/scenario.ts';
import { quick } from '../../harness/workload.ts';

const createsPerKill = 10;
const clients = 4;

export const apiKilled: Scenario = {
  name: 'api-killed',
  title: 'kill -9 of the API, ten creates a kill',
  about:
    'clients create jobs, each with its own Idempotency-Key and again until there is an answer, while the API gets SIGKILL at random moments. Each 201 ends, none twice.',
  rounds: { short: 1, long: 100 },
  run: async (run) => {
    const { rig, random, report, rounds } = run;
    const control = await run.control(quick);
    const jobs: AcceptedJob[] = [];
    const wanted = rounds * createsPerKill;
    let started = 0;
    const client = async () => {
      while (started++ < wanted) jobs.push(await createJob(rig, quick));
    };
    const creating = Promise.all(Array.from({ length: clients }, client));
    let creates = true;
    void creating.finally(() => {
      creates = false;
    });
    for (let kill = 1; kill <= rounds && creates; kill++) {
      while (creates && jobs.length < (kill - 1) * createsPerKill) await sleep(10);
      await sleep(random.between(0, 300));
      report.progress(`kill ${kill} of ${rounds}, ${jobs.length} of ${wanted} created`);
      const before = jobs.length;
      const since = performance.now();
      rig.api.signal('SIGKILL');
      report.fault();
      while (creates && jobs.length === before) await sleep(10);
      report.recovered(performance.now() - since);
    }
    await creating;
    await untilAllOver(run, jobs, 120 + 10 * jobs.length);
    for (const job of jobs) report.broken(`job ${job.id}`, await faultsOf(rig, job, control));
    const [strangers] = await rig.postgres.query<{ count: number }>(
      `SELECT count(*)::int FROM jobs WHERE metadata ? 'chaos' AND training->>'max_steps' = $1 AND NOT id = ANY ($2)
         AND created_at >= (SELECT min(created_at) FROM jobs WHERE id = ANY ($2))`,
      [String(quick.training.max_steps), jobs.map(({ id }) => id)],
    );
    if (strangers?.count) report.broken('no job exists without an answer', [`${strangers.count} of them`]);
    report.figure('jobs', jobs.length, '');
  },
};
