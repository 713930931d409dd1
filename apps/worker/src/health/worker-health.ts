import { isLastingModelFault } from '@graft/service/base-models';
import { isDatabaseUnavailable, withSystemScope } from '@graft/service/database';
import type { JobError } from '@graft/service/jobs';
import { type Repeating, repeat } from '@graft/service/repeat';
import type { Services } from '@graft/service/services';
import { clearWorkerFaults, quarantineWorker, recordWorkerFault } from '@graft/service/workers';
import type { CardWatch } from '../cards/card-watch.ts';
import type { Device } from '../devices.ts';
import { CardFault } from '../faults/card-fault.ts';
import { UnhealthyReason } from '../faults/unfit.ts';
import type { Proof } from './proofs.ts';

/** The device of a job, and the recent output of its child process. */
export interface Slot {
  device: Device;
  output: string;
}

export interface HealthOptions {
  services: Services;
  workerId: string;
  /** Checks that run at each interval and after each fault. */
  cheap: Proof[];
  /** Checks that run at start, after a fault, in quarantine, and at every tenth interval: measured speeds vary with the machine's load. */
  thorough: Proof[];
  proofSeconds: number;
  /** Optional; undefined where the worker has no cards. */
  cards?: Pick<CardWatch, 'blame'>;
}

// Number of consecutive system or environment faults, of any jobs, that leads to quarantine.
const faultLimit = 3;
// Every tenth check of a worker in service is thorough.
const thoroughEvery = 10;

/**
 * Decides whether this worker may claim jobs. It starts in quarantine, and leaves it when all checks pass. A failed check or several
 * consecutive faults put it back, because it would otherwise fail one job after another. In quarantine the checks are repeated with
 * growing pauses. The reason is written to the worker's row and to the log.
 */
export class WorkerHealth {
  readonly #options: HealthOptions;
  readonly #loop: Repeating;
  /** Why the worker claims no jobs; null: it claims jobs. */
  #unfit: UnhealthyReason | null = new UnhealthyReason(
    'it has not proved itself yet',
    'It has not proved itself yet.',
  );
  /** True where the worker's row has this state. */
  #isReported = false;
  /** The teams of the jobs that failed consecutively. */
  #faults: string[] = [];
  #suspect = false;
  #failures = 0;
  #nextProof = 0;
  #looks = 0;
  #onChange = () => {};

  constructor(options: HealthOptions) {
    this.#options = options;
    const { proofSeconds, services } = options;
    const tick = Math.min(1000, (proofSeconds * 1000) / 10);
    this.#loop = repeat('proof of this worker', tick, () => this.#tick(), services.log);
  }

  get acceptsJobs(): boolean {
    return this.#unfit === null;
  }

  /** Sets the listener that is called when `acceptsJobs` changes. */
  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  /** Writes the state again, because the worker has a new row. */
  registeredAgain(): void {
    this.#isReported = false;
  }

  /**
   * Checks whether the worker caused a job's fault. If a check fails, returns that environment fault instead. Counts the fault, unless
   * the user's or the base model's files are to blame, or one card of several, which then gets no further jobs. `quarantined`:
   * the count reached the limit. `slot`: where the job ran.
   */
  async judge(
    fault: JobError,
    teamId: string,
    slot: Slot = { device: { kind: 'cpu' }, output: '' },
  ): Promise<{ fault: JobError; quarantined: boolean }> {
    // The caller is in the scope of the job's team, which may neither read the installation's rows nor write a worker's.
    return await withSystemScope(async () => await this.#judge(fault, teamId, slot));
  }

  async #judge(
    fault: JobError,
    teamId: string,
    { device, output }: Slot,
  ): Promise<{ fault: JobError; quarantined: boolean }> {
    if (fault.fault === 'user' || isLastingModelFault(fault.code)) return { fault, quarantined: false };
    const unfit = await this.#findUnfit(this.#options.cheap);
    const cardFault = unfit
      ? null
      : (this.#options.cards?.blame(device, { code: fault.code, output }) ?? null);
    if (cardFault) {
      this.#suspect = true;
      return { fault: unfitFault(cardFault), quarantined: false };
    }
    const judged = unfit ? unfitFault(unfit) : fault;
    this.#faults.push(teamId);
    this.#suspect = true;
    const { services, workerId } = this.#options;
    const row = await recordWorkerFault(services, workerId, judged.message).catch(ignoreAway);
    // The row may have a higher count. Without it, a quarantined worker would wait for jobs that it does not get.
    const count = Math.max(this.#faults.length, row?.consecutiveFaults ?? 0);
    const isTooMany = this.acceptsJobs && (count >= faultLimit || Boolean(row?.quarantinedAt));
    if (unfit) this.#quarantine(unfit);
    else if (isTooMany) {
      const message = `${count} jobs failed here in a row by no fault of their users, the last with: ${judged.message}`;
      this.#quarantine(new UnhealthyReason('jobs failed on it one after the other', message));
    }
    return { fault: judged, quarantined: unfit !== null || isTooMany };
  }

  /** Called after each job, before the slot claims another. After a fault, all checks run first. */
  async jobLeft(succeeded: boolean): Promise<void> {
    if (this.#suspect) {
      this.#suspect = false;
      const unfit = await this.#findUnfit([...this.#options.cheap, ...this.#options.thorough]);
      if (unfit) this.#quarantine(unfit);
    }
    if (!succeeded) return;
    this.#failures = 0;
    if (this.#faults.length === 0 || !this.acceptsJobs) return;
    this.#faults = [];
    const { services, workerId } = this.#options;
    await clearWorkerFaults(services, workerId).catch(ignoreAway);
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  async #tick(): Promise<void> {
    const { services, workerId, cheap, thorough, proofSeconds } = this.#options;
    if (!this.#isReported) {
      if (this.#unfit) await quarantineWorker(services, workerId, this.#unfit.message);
      this.#isReported = true;
    }
    if (performance.now() < this.#nextProof) return;
    if (this.acceptsJobs) {
      const isThorough = ++this.#looks % thoroughEvery === 0;
      const unfit = await this.#findUnfit(isThorough ? [...cheap, ...thorough] : cheap);
      if (unfit) return this.#quarantine(unfit);
      this.#nextProof = performance.now() + proofSeconds * 1000;
      return;
    }
    const unfit = await this.#findUnfit([...cheap, ...thorough], { strict: true });
    if (unfit) return this.#quarantine(unfit);
    // The row first: it determines whether this worker may claim jobs.
    await clearWorkerFaults(services, workerId);
    this.#faults = [];
    this.#unfit = null;
    this.#nextProof = performance.now() + proofSeconds * 1000;
    services.log.info({ workerId }, 'this worker has proved itself and takes jobs');
    this.#onChange();
  }

  #quarantine(unfit: UnhealthyReason): void {
    const { services, workerId, proofSeconds } = this.#options;
    const wasFit = this.acceptsJobs;
    const isNews = this.#unfit?.message !== unfit.message;
    this.#unfit = unfit;
    if (isNews) {
      this.#isReported = false;
      services.log.error({ workerId, reason: unfit.message }, 'this worker takes no jobs');
    }
    // The jobs of a single team may be what kills the trainers: then other teams do not wait long.
    const longest = new Set(this.#faults).size === 1 ? proofSeconds : proofSeconds * 5;
    const seconds = Math.min((proofSeconds / 10) * 2 ** this.#failures, longest);
    this.#failures += 1;
    this.#nextProof = performance.now() + seconds * 1000;
    this.#loop.wake();
    if (wasFit) this.#onChange();
  }

  /** The first failed check; null where all pass. Unless `strict`, checks that cannot run because Postgres is unavailable are ignored. */
  async #findUnfit(proofs: Proof[], { strict = false } = {}): Promise<UnhealthyReason | null> {
    for (const proof of proofs) {
      try {
        await proof();
      } catch (error) {
        if (error instanceof UnhealthyReason) return error;
        if (strict || !isDatabaseUnavailable(error)) throw error;
      }
    }
    return null;
  }
}

/** The fault as the job's team sees it. */
function unfitFault(unfit: UnhealthyReason): JobError {
  return {
    code: unfit instanceof CardFault ? unfit.code : 'worker_unfit',
    message: `The worker cannot continue: ${unfit.plain}.`,
    param: null,
    fault: 'environment',
  };
}

function ignoreAway(error: unknown): null {
  if (!isDatabaseUnavailable(error)) throw error;
  return null;
}
