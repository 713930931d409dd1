import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Job } from '@graft/service/jobs';
import { listEvents } from '@graft/service/jobs';
import { forkWorker } from '../../apps/worker/src/testing/forked-worker.ts';
import { openWorkerBench, type WorkerBench } from '../../apps/worker/src/testing/worker-bench.ts';
import { markdownTable, type Quartiles, quartiles, sum } from '../../scripts/measuring/report.ts';
import { demoFile } from './data.ts';
import { adapters } from './workloads.ts';

/** How soon a worker's jobs train, and how much it trains where several wait. All of SmolLM2-135M and the demo's job. */
export interface StartFigures {
  /** Seconds from claim to the end of the first step: the first job of a worker, and the same again. */
  cold: Quartiles;
  warm: Quartiles;
  /** Jobs that were queued at once, from the first claim to the last one's end. */
  queue: { jobs: number; tokens: number; seconds: number };
  /** `npm run demo` from begin to end, where everything is set up. */
  demoSeconds?: number;
}

const root = path.resolve(import.meta.dirname, '../..');
const rounds = 3;
const queued = 4;

/** Runs jobs of `steps` steps through real workers on a private database, and the demo with `withDemo`. */
export async function measureStart(
  { steps, withDemo }: { steps: number; withDemo: boolean },
  log: (line: string) => void,
): Promise<StartFigures> {
  const bench = await openWorkerBench();
  try {
    const lines = await readFile(demoFile, 'utf8');
    const training = { max_seq_length: 128, batch_size: 8, n_epochs: 50, max_steps: steps };
    const model = 'smollm2-135m-instruct';
    const queueJob = () => bench.queueJob(lines, { model, peft: adapters.large, training, format: 'chat' });
    const finish = ({ id }: Job) => bench.untilState(id, 'succeeded', 1800);
    const cold: number[] = [];
    const warm: number[] = [];
    for (let round = 1; round <= rounds; round++) {
      await whileWorking(bench, async () => {
        for (const seconds of [cold, warm])
          seconds.push(await firstStep(bench, await finish(await queueJob())));
      });
      log(`  round ${round}/${rounds}  cold ${cold.at(-1)!.toFixed(2)} s  warm ${warm.at(-1)!.toFixed(2)} s`);
    }
    const jobs: Job[] = [];
    for (let i = 0; i < queued; i++) jobs.push(await queueJob());
    const done = await whileWorking(bench, () => Promise.all(jobs.map(finish)));
    const began = Math.min(...done.map(({ startedAt }) => startedAt!.getTime()));
    const ended = Math.max(...done.map(({ finishedAt }) => finishedAt!.getTime()));
    const tokens = sum(done.map(({ trainedTokens }) => trainedTokens!));
    return {
      cold: quartiles(cold),
      warm: quartiles(warm),
      queue: { jobs: queued, tokens, seconds: (ended - began) / 1000 },
      ...(withDemo ? { demoSeconds: await demoSeconds(log) } : {}),
    };
  } finally {
    await bench.close();
  }
}

async function whileWorking<T>({ services }: WorkerBench, work: () => Promise<T>): Promise<T> {
  const worker = await forkWorker(services);
  try {
    return await work();
  } finally {
    worker.kill('SIGTERM');
    await worker.exited;
  }
}

/** By its event, which is written immediately. */
async function firstStep({ services, teamId }: WorkerBench, job: Job): Promise<number> {
  const { data: events } = await listEvents(services, teamId, job.id, { limit: 1000 });
  const firstStep = events.find(({ data }) => data?.step === 1 && 'train_loss' in data);
  return (firstStep!.createdAt.getTime() - job.startedAt!.getTime()) / 1000;
}

async function demoSeconds(log: (line: string) => void): Promise<number> {
  log('  the demo');
  const started = performance.now();
  // As `npm run demo`, with a channel by which it notices that this process has ended.
  const demo = spawn(process.execPath, ['scripts/bootstrap/main.mjs', '--run', 'scripts/demo/main.ts'], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  const code = await new Promise((resolve, reject) => demo.once('error', reject).once('exit', resolve));
  if (code !== 0) throw new Error(`npm run demo ended with ${code}`);
  return (performance.now() - started) / 1000;
}

export function startTable({ cold, warm, queue, demoSeconds }: StartFigures): string {
  const seconds = (value: number) => `${value.toFixed(1)} s`;
  const between = ({ lower, median, upper }: Quartiles) =>
    `${seconds(median)} (${seconds(lower)} – ${seconds(upper)})`;
  const speed = `${(queue.tokens / queue.seconds).toFixed(0)} tokens/s`;
  return markdownTable(
    ['from a claim to the first step', ''],
    [
      ['the first job of a worker', between(cold)],
      ['the same job again', between(warm)],
      [`${queue.jobs} queued jobs, all of them`, `${speed}, ${seconds(queue.seconds)}`],
      ...(demoSeconds ? [['`npm run demo`, set up before', seconds(demoSeconds)]] : []),
    ],
  );
}
