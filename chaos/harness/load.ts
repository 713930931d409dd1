import { setTimeout as sleep } from 'node:timers/promises';
import {
  type AcceptedJob,
  type BadAnswer,
  createJob,
  isOver,
  type JobRow,
  readJobs,
  request,
} from './jobs.ts';
import { faultsOf } from './oracles/job-outcome.ts';
import type { Random } from './random.ts';
import type { Run } from './scenario.ts';
import { type Variant, variants } from './workload.ts';

export interface LoadOptions {
  /** Unfinished jobs at any time. */
  inFlight: number;
  variants?: readonly Variant[];
}

/** Keeps some jobs in flight while faults are injected. At the end every accepted job must have ended correctly. */
export class Load {
  readonly #run: Run;
  readonly #options: LoadOptions;
  readonly jobs: AcceptedJob[] = [];
  readonly #badAnswers: BadAnswer[] = [];
  #fault: Error | null = null;
  #closing = false;
  readonly #feeding: Promise<void>;
  readonly #reading: Promise<void>;

  static async start(run: Run, options: LoadOptions): Promise<Load> {
    // Controls first: they must be undisturbed.
    for (const variant of options.variants ?? variants) await run.control(variant);
    return new Load(run, options);
  }

  private constructor(run: Run, options: LoadOptions) {
    this.#run = run;
    this.#options = options;
    this.#feeding = this.#feed().catch((error: Error) => {
      this.#fault = error;
    });
    this.#reading = this.#read();
  }

  /** Waits for a running job whose next lost attempt is not its last. */
  async running(random: Random): Promise<{ job: AcceptedJob; row: JobRow }> {
    for (const deadline = performance.now() + 240_000; ; await sleep(50)) {
      if (this.#fault) throw this.#fault;
      const rows = await readJobs(this.#run.rig, this.jobs);
      const fit = this.jobs.flatMap((job) => {
        const row = rows.get(job.id);
        return row?.state === 'running' && row.step > 0 && row.attempts_since_checkpoint < 2
          ? [{ job, row }]
          : [];
      });
      if (fit.length > 0) return random.pick(fit);
      if (performance.now() > deadline) throw new Error('no job runs within four minutes');
    }
  }

  /** Rows of the unfinished jobs. */
  async unfinished(): Promise<{ job: AcceptedJob; row: JobRow }[]> {
    const rows = await readJobs(this.#run.rig, this.jobs);
    return this.jobs.flatMap((job) => {
      const row = rows.get(job.id);
      return row && !isOver(row) ? [{ job, row }] : [];
    });
  }

  /** Stops creating jobs, waits until all have ended, and checks each with the oracles. */
  async finish(): Promise<void> {
    this.#closing = true;
    await Promise.all([this.#feeding, this.#reading]);
    if (this.#fault) this.#run.report.broken('jobs can be created', [this.#fault.message]);
    const { lease } = this.#run.timings;
    const patience = 1000 * (240 + 6 * lease);
    for (let deadline = performance.now() + patience; ; await sleep(200)) {
      const left = await this.unfinished();
      // A fault of the environment makes a job wait for some minutes.
      const waits = Math.max(0, ...left.map(({ row }) => row.waits));
      if (waits > 0) deadline = performance.now() + 1000 * waits + patience;
      if (left.length === 0 || performance.now() > deadline) break;
      this.#run.report.progress(`${this.jobs.length - left.length} of ${this.jobs.length} jobs over`);
    }
    for (const job of this.jobs) {
      const faults = await faultsOf(this.#run.rig, job, await this.#run.control(job.variant));
      this.#run.report.broken(`job ${job.id} (${job.variant.name})`, faults);
    }
    const answers = this.#badAnswers.map(
      (answer) => `${answer.request}: ${answer.status} ${answer.body.slice(0, 300)}`,
    );
    this.#run.report.broken('no answer is a fault of the service', answers.slice(0, 5));
    this.#run.report.figure('jobs', this.jobs.length, '');
  }

  /** A read-only client of the other team: during an outage it receives 503 with Retry-After. */
  async #read(): Promise<void> {
    const { rig } = this.#run;
    for (let read = 0; !this.#closing; await sleep(250)) {
      const path = read++ % 2 === 0 ? '/fine_tuning/jobs?limit=5' : '/models';
      const answer = await request(rig, rig.other, 'GET', path);
      if (answer === null || answer.status === 200) continue;
      if (answer.status === 503 && answer.headers.has('retry-after')) continue;
      this.#badAnswers.push({ request: `GET ${path}`, status: answer.status, body: answer.body });
    }
  }

  async #feed(): Promise<void> {
    const kinds = this.#options.variants ?? variants;
    for (let created = 0; !this.#closing; ) {
      const left = await this.unfinished();
      if (left.length >= this.#options.inFlight) {
        await sleep(150);
        continue;
      }
      const variant = kinds[created++ % kinds.length]!;
      this.jobs.push(
        await createJob(this.#run.rig, variant, { onBadAnswer: (answer) => this.#badAnswers.push(answer) }),
      );
    }
  }
}

/** Waits until all jobs have ended, at most this many seconds. */
export async function untilAllOver(
  { rig, report }: Run,
  jobs: readonly AcceptedJob[],
  seconds: number,
): Promise<void> {
  for (const deadline = performance.now() + 1000 * seconds; ; await sleep(300)) {
    const over = [...(await readJobs(rig, jobs)).values()].filter(isOver).length;
    if (over === jobs.length || performance.now() > deadline) return;
    report.progress(`${over} of ${jobs.length} jobs over`);
  }
}
