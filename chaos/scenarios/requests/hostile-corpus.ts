import { setTimeout as sleep } from 'node:timers/promises';
import { hostileCorpus as corpusOf } from '../../../test/hostile/corpus.ts';
import { type HostileRequest, sendHostile } from '../../../test/hostile/request.ts';
import { createJob, isOver, request, untilJob } from '../../harness/jobs.ts';
import { spread } from '../../harness/recovery.ts';
import type { Rig } from '../../harness/rig.ts';
import type { Run, Scenario } from '../../harness/scenario.ts';
import { residentMib } from '../../harness/services/resident.ts';
import { baseModel, quick } from '../../harness/workload.ts';

/** Concurrent requests of one team. */
const attackers = 4;
/** Milliseconds. */
const answerWithin = 30_000;

export const hostileCorpus: Scenario = {
  name: 'hostile-corpus',
  title: 'hostile bodies and files of one team',
  about:
    "one team sends the corpus of test/hostile (broken, deep, endless and expensive bodies, files and addresses), four at once. Each is answered in time and none with a 500; the event loop, memory and another team's requests are as in calm.",
  rounds: { short: 60, long: 2000 },
  testTimings: true,
  run: async (run) => {
    const { rig, report } = run;
    const requests = await corpusFor(run);
    const calm = await watching(rig, () => sleep(4000));
    const base = residentMib(rig.api.pid);
    let next = 0;
    const attacker = async () => {
      while (next < requests.length) {
        const hostile = requests[next++]!;
        if (next % 20 === 0) report.progress(`${next} of ${requests.length}: ${hostile.name}`);
        report.fault();
        report.broken(hostile.name, await faultsOf(rig, hostile));
      }
    };
    const attacked = await watching(rig, () => Promise.all(Array.from({ length: attackers }, attacker)));
    report.figure('event-loop lag, worst', attacked.lag, 'ms', 200);
    report.figure('memory above base', attacked.peakMib - base, 'MiB', 256);
    report.figure("neighbour's p99", attacked.p99, 'ms', Math.round(2 * calm.p99));
    report.figure("neighbour's p99 in calm", calm.p99, 'ms');
  },
};

/** Each request of the corpus once, in the seed's order; as many as there are rounds. */
async function corpusFor({ rig, random, rounds }: Run): Promise<HostileRequest[]> {
  const job = await createJob(rig, quick);
  await untilJob(rig, job, isOver);
  const [row] = await rig.postgres.query<{ file: string }>(
    'SELECT training_file_id AS file FROM jobs WHERE id = $1',
    [job.id],
  );
  const seed = random.below(2 ** 31);
  const requests = corpusOf({ model: baseModel, fileId: row?.file ?? '', jobId: job.id }, seed);
  return random.shuffled(requests).slice(0, rounds);
}

async function faultsOf(rig: Rig, hostile: HostileRequest): Promise<string[]> {
  const late = sleep(answerWithin, null, { ref: false });
  const answer = await Promise.race([
    sendHostile(`http://127.0.0.1:${rig.apiPort}`, rig.team.key, hostile).catch((error: Error) => error),
    late,
  ]);
  if (answer === null) return [`no answer within ${answerWithin / 1000} s`];
  if (answer instanceof Error) return [`no answer: ${answer.message}`];
  // 503 and 429 ask the client to retry later, which is an answer.
  const { status, text } = answer;
  return status >= 400 && (status < 500 || status === 503)
    ? []
    : [`answered ${status} ${text.slice(0, 200)}`];
}

/** Measures the neighbour and the event loop while `work` runs. */
async function watching(
  rig: Rig,
  work: () => Promise<unknown>,
): Promise<{ p99: number; lag: number; peakMib: number }> {
  const answers: number[] = [];
  const lags: number[] = [];
  let peakMib = 0;
  let over = false;
  const neighbour = async () => {
    while (!over) {
      const asked = performance.now();
      await request(rig, rig.other, 'GET', '/fine_tuning/jobs?limit=5');
      answers.push(performance.now() - asked);
      await sleep(25);
    }
  };
  // A request that costs nothing: its duration is how long the event loop was blocked.
  const pulse = async () => {
    while (!over) {
      const asked = performance.now();
      await fetch(`http://127.0.0.1:${rig.apiPort}/healthz`).catch(() => null);
      lags.push(performance.now() - asked);
      peakMib = Math.max(peakMib, residentMib(rig.api.pid));
      await sleep(20);
    }
  };
  const watchers = [neighbour(), pulse()];
  await work();
  over = true;
  await Promise.all(watchers);
  return { p99: spread(answers)?.p99 ?? 0, lag: spread(lags)?.worst ?? 0, peakMib };
}
