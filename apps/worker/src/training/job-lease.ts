import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Database,
  heartbeatJob,
  isDatabaseAway,
  type Job,
  type Lease,
  leaseOf,
  type Repeating,
  readJobFlags,
  repeat,
  type Services,
} from '@graft/service';
import type { Interruption } from './job-interrupts.ts';

/** Thrown by writes of a lease that is no longer held: stop, and write nothing more. */
export class Fenced extends Error {
  constructor() {
    super('The lease on this job is no longer held.');
  }
}

export interface LeaseTimes {
  leaseSeconds: number;
  heartbeatSeconds: number;
  /** How often the row is read for a request to cancel or pause. A cancel may take two seconds in all. */
  pollMilliseconds: number;
}

// Another worker may take the job once its lease has run out, but not while Postgres is away, and after an outage the
// sweeper waits for one full lease. Giving up after one lease would throw away work that is still valid.
const leasesUntilLost = 3;

/**
 * A worker's lease on one running job: sends heartbeats, reads users' requests to cancel or pause, and makes every write.
 */
export class JobLease {
  readonly job: Job;
  readonly id: Lease;
  #db: Database;
  #times: LeaseTimes;
  #onInterrupt: (why: Interruption) => void;
  #lost = new AbortController();
  #lostTimer: NodeJS.Timeout | undefined;
  #loop: Repeating;
  #nextHeartbeat = 0;

  constructor(
    db: Database,
    job: Job,
    times: LeaseTimes,
    log: Services['log'],
    onInterrupt: (why: Interruption) => void,
  ) {
    this.job = job;
    this.id = leaseOf(job);
    this.#db = db;
    this.#times = times;
    this.#onInterrupt = onInterrupt;
    this.#renewed();
    this.#loop = repeat(`lease of ${job.id}`, times.pollMilliseconds, () => this.#poll(), log);
  }

  /** Whether this lease is known to be lost. */
  get fenced(): boolean {
    return this.#lost.signal.aborted;
  }

  /**
   * Runs one write of packages/service/jobs. Its `null` or `false` means fenced. While Postgres cannot be reached it
   * is tried again until the lease is lost; every such write is safe to repeat. Throws `Fenced`.
   */
  async write<T>(operation: (db: Database, lease: Lease) => Promise<T | null | false>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      if (this.fenced) throw new Fenced();
      try {
        const result = await operation(this.#db, this.id);
        if (result !== null && result !== false) return result;
        this.#lose();
      } catch (error) {
        if (!isDatabaseAway(error)) throw error;
        await sleep(Math.min(100 * 2 ** attempt, 2000), undefined, { signal: this.#lost.signal }).catch(
          () => {},
        );
      }
    }
  }

  async stop(): Promise<void> {
    clearTimeout(this.#lostTimer);
    await this.#loop.stop();
  }

  async #poll(): Promise<void> {
    const asked = performance.now();
    const due = asked >= this.#nextHeartbeat;
    const requests = due
      ? await heartbeatJob(this.#db, this.id, this.#times)
      : await readJobFlags(this.#db, this.id);
    if (!requests) return this.#lose();
    if (due) {
      this.#nextHeartbeat = asked + this.#times.heartbeatSeconds * 1000;
      this.#renewed();
    }
    if (requests.cancelRequested) this.#onInterrupt('cancel');
    else if (requests.pauseRequested) this.#onInterrupt('pause');
  }

  #renewed(): void {
    clearTimeout(this.#lostTimer);
    this.#lostTimer = setTimeout(() => this.#lose(), this.#times.leaseSeconds * leasesUntilLost * 1000);
  }

  #lose(): void {
    if (this.fenced) return;
    this.#lost.abort();
    this.#onInterrupt('fenced');
  }
}
