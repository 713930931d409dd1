import { setTimeout as sleep } from 'node:timers/promises';
import { type Database, isDatabaseUnavailable } from '@graft/service/database';
import { heartbeatJob, type Job, type Lease, leaseOf, readJobFlags } from '@graft/service/jobs';
import { type Repeating, repeat } from '@graft/service/repeat';
import type { Services } from '@graft/service/services';
import type { Interruption } from './job-interrupts.ts';

/** Thrown by writes under a lease that is no longer held: stop, and write nothing more. */
export class Fenced extends Error {
  constructor() {
    super('The lease on this job is no longer held.');
  }
}

export interface LeaseTimes {
  leaseSeconds: number;
  heartbeatSeconds: number;
  /** Interval for reading requests to cancel or pause from the row. A cancel may take two seconds in total. */
  pollMilliseconds: number;
}

/**
 * A worker's lease on one running job: sends heartbeats, reads requests to cancel, pause or preempt, and makes every write.
 *
 * A lease that is not renewed ends by this process's monotonic clock, counted from before the request, so never later than in
 * Postgres. Then the trainer is stopped. Until another worker has the job, the lease can still be renewed. Every write does that first,
 * so that results that were finished when Postgres became unavailable are not lost.
 */
export class JobLease {
  readonly job: Job;
  readonly id: Lease;
  #db: Database;
  #times: LeaseTimes;
  #onInterrupt: (why: Interruption) => void;
  #onRenewed: (deadline: number) => void;
  #lost = new AbortController();
  #endsAt = 0;
  #lapsed = false;
  #endTimer: NodeJS.Timeout | undefined;
  #loop: Repeating;
  #nextHeartbeat = 0;

  /** `requestedAt`: `performance.now()` before the job was claimed. `onRenewed` receives the end of each renewed lease. */
  constructor(
    db: Database,
    job: Job,
    times: LeaseTimes,
    log: Services['log'],
    on: { interrupt: (why: Interruption) => void; renewed: (deadline: number) => void; requestedAt: number },
  ) {
    this.job = job;
    this.id = leaseOf(job);
    this.#db = db;
    this.#times = times;
    this.#onInterrupt = on.interrupt;
    this.#onRenewed = on.renewed;
    this.#renewed(on.requestedAt);
    this.#loop = repeat(`lease of ${job.id}`, times.pollMilliseconds, () => this.#poll(), log);
  }

  /** True if this lease is known to be lost: another worker has the job, or the job has ended. */
  get fenced(): boolean {
    return this.#lost.signal.aborted;
  }

  /** True if this lease ever expired before it was renewed; its trainer was stopped or ended itself. */
  get lapsed(): boolean {
    return this.#hasEnded() || this.#lapsed;
  }

  /**
   * Runs one write of packages/service/jobs. A result of `null` or `false` means fenced. While Postgres is unavailable, the write is
   * repeated; every such write is safe to repeat. A lease that has ended is renewed first. Throws `Fenced`.
   */
  async write<T>(operation: (db: Database, lease: Lease) => Promise<T | null | false>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      if (this.fenced) throw new Fenced();
      try {
        if (this.#hasEnded()) await this.#renew();
        else {
          const result = await operation(this.#db, this.id);
          if (result !== null && result !== false) return result;
          this.#lose();
        }
      } catch (error) {
        if (!isDatabaseUnavailable(error)) throw error;
        await sleep(Math.min(100 * 2 ** attempt, 2000), undefined, { signal: this.#lost.signal }).catch(
          () => {},
        );
      }
    }
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
    clearTimeout(this.#endTimer);
  }

  async #poll(): Promise<void> {
    if (this.#hasEnded() || performance.now() >= this.#nextHeartbeat) return await this.#renew();
    this.#obey(await readJobFlags(this.#db, this.id));
  }

  async #renew(): Promise<void> {
    const asked = performance.now();
    const requests = await heartbeatJob(this.#db, this.id, this.#times);
    if (requests) {
      this.#nextHeartbeat = asked + this.#times.heartbeatSeconds * 1000;
      this.#renewed(asked);
    }
    this.#obey(requests);
  }

  #obey(requests: Awaited<ReturnType<typeof readJobFlags>>): void {
    if (!requests) this.#lose();
    else if (requests.cancelRequested) this.#onInterrupt('cancel');
    else if (requests.pauseRequested) this.#onInterrupt('pause');
    else if (requests.preemptRequested) this.#onInterrupt('preempt');
  }

  #renewed(asked: number): void {
    this.#endsAt = asked + this.#times.leaseSeconds * 1000;
    this.#onRenewed(this.#endsAt);
    clearTimeout(this.#endTimer);
    this.#endTimer = setTimeout(() => this.#lapse(), this.#endsAt - performance.now());
  }

  /** Also stops the trainer: after this process was frozen, this may be called before the timer has fired. */
  #hasEnded(): boolean {
    if (performance.now() < this.#endsAt) return false;
    this.#lapse();
    return true;
  }

  #lapse(): void {
    this.#lapsed = true;
    this.#onInterrupt('expired');
  }

  #lose(): void {
    if (this.fenced) return;
    this.#lost.abort();
    this.#onInterrupt('fenced');
  }
}
