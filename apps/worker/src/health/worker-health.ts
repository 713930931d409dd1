import {
  asSystem,
  clearWorkerFaults,
  isDatabaseAway,
  isLastingModelFault,
  type JobError,
  quarantineWorker,
  type Repeating,
  recordWorkerFault,
  repeat,
  type Services,
} from '@graft/service';
import type { CardWatch } from '../cards/card-watch.ts';
import type { Device } from '../devices.ts';
import { CardFault } from '../faults/card-fault.ts';
import { Unfit } from '../faults/unfit.ts';
import type { Proof } from './proofs.ts';

/** Where a job was computed, and what the child process wrote there of late. */
export interface Slot {
  device: Device;
  output: string;
}

export interface HealthOptions {
  services: Services;
  workerId: string;
  /** Looked at again and again, and after each fault. */
  cheap: Proof[];
  /** At the start, after a fault, while in quarantine, and now and then: a machine is as fast as what else it does lets it be. */
  thorough: Proof[];
  proofSeconds: number;
  /** Absent: it has none. */
  cards?: Pick<CardWatch, 'blame'>;
}

// So many faults of the system or the environment in a row, whatever the jobs.
const faultLimit = 3;
// Every so many looks at a worker that takes jobs are thorough.
const thoroughEvery = 10;

/**
 * Whether this worker may take jobs. It starts in quarantine, proves itself, and goes back there when a proof fails or when
 * faults come in a row: it would fail job after job as fast as they come. There it tries again after ever longer pauses, and
 * comes back by itself. What it finds stands in its row and in the log.
 */
export class WorkerHealth {
  readonly #options: HealthOptions;
  readonly #loop: Repeating;
  /** Why it takes no jobs; null: it does. */
  #unfit: Unfit | null = new Unfit('it has not proved itself yet', 'It has not proved itself yet.');
  /** Whether its row says so. */
  #told = false;
  /** In a row: the teams whose jobs they befell. */
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

  get takesJobs(): boolean {
    return this.#unfit === null;
  }

  /** Calls `listener` when `takesJobs` has changed. */
  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  /** Its row is a new one. */
  registeredAgain(): void {
    this.#told = false;
  }

  /**
   * Looks for what may be behind a fault that seems a job's: the same fault as one of the environment when a proof fails.
   * Counts it, unless the user's or the base model's files are to blame, or one card of several, which then takes no jobs;
   * `quarantined` when it was one too many. `slot`: where the job was computed.
   */
  async judge(
    fault: JobError,
    teamId: string,
    slot: Slot = { device: { kind: 'cpu' }, output: '' },
  ): Promise<{ fault: JobError; quarantined: boolean }> {
    // It is asked on behalf of the job's team, which sees neither the installation nor may write a worker's row.
    return await asSystem(async () => await this.#judge(fault, teamId, slot));
  }

  async #judge(
    fault: JobError,
    teamId: string,
    { device, output }: Slot,
  ): Promise<{ fault: JobError; quarantined: boolean }> {
    if (fault.fault === 'user' || isLastingModelFault(fault.code)) return { fault, quarantined: false };
    const unfit = await this.#findUnfit(this.#options.cheap);
    const ofCard = unfit ? null : (this.#options.cards?.blame(device, { code: fault.code, output }) ?? null);
    if (ofCard) {
      this.#suspect = true;
      return { fault: unfitFault(ofCard), quarantined: false };
    }
    const judged = unfit ? unfitFault(unfit) : fault;
    this.#faults.push(teamId);
    this.#suspect = true;
    const { services, workerId } = this.#options;
    const row = await recordWorkerFault(services, workerId, judged.message).catch(ignoreAway);
    // The row counts, too, and may know of more: this worker would wait for jobs that it is not given.
    const count = Math.max(this.#faults.length, row?.consecutiveFaults ?? 0);
    const isTooMany = this.takesJobs && (count >= faultLimit || Boolean(row?.quarantinedAt));
    if (unfit) this.#quarantine(unfit);
    else if (isTooMany) {
      const message = `${count} jobs failed here in a row by no fault of their users, the last with: ${judged.message}`;
      this.#quarantine(new Unfit('jobs failed on it one after the other', message));
    }
    return { fault: judged, quarantined: unfit !== null || isTooMany };
  }

  /** Between two jobs of a slot, which is held until then: after a fault everything is proved before another is taken. */
  async jobLeft(succeeded: boolean): Promise<void> {
    if (this.#suspect) {
      this.#suspect = false;
      const unfit = await this.#findUnfit([...this.#options.cheap, ...this.#options.thorough]);
      if (unfit) this.#quarantine(unfit);
    }
    if (!succeeded) return;
    this.#failures = 0;
    if (this.#faults.length === 0 || !this.takesJobs) return;
    this.#faults = [];
    const { services, workerId } = this.#options;
    await clearWorkerFaults(services, workerId).catch(ignoreAway);
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  async #tick(): Promise<void> {
    const { services, workerId, cheap, thorough, proofSeconds } = this.#options;
    if (!this.#told) {
      if (this.#unfit) await quarantineWorker(services, workerId, this.#unfit.message);
      this.#told = true;
    }
    if (performance.now() < this.#nextProof) return;
    if (this.takesJobs) {
      const isThorough = ++this.#looks % thoroughEvery === 0;
      const unfit = await this.#findUnfit(isThorough ? [...cheap, ...thorough] : cheap);
      if (unfit) return this.#quarantine(unfit);
      this.#nextProof = performance.now() + proofSeconds * 1000;
      return;
    }
    const unfit = await this.#findUnfit([...cheap, ...thorough], { strict: true });
    if (unfit) return this.#quarantine(unfit);
    // The row first: it decides whether this worker may claim.
    await clearWorkerFaults(services, workerId);
    this.#faults = [];
    this.#unfit = null;
    this.#nextProof = performance.now() + proofSeconds * 1000;
    services.log.info({ workerId }, 'this worker has proved itself and takes jobs');
    this.#onChange();
  }

  #quarantine(unfit: Unfit): void {
    const { services, workerId, proofSeconds } = this.#options;
    const wasFit = this.takesJobs;
    const isNews = this.#unfit?.message !== unfit.message;
    this.#unfit = unfit;
    if (isNews) {
      this.#told = false;
      services.log.error({ workerId, reason: unfit.message }, 'this worker takes no jobs');
    }
    // One team's jobs alone may be what kills trainers: then the others do not wait for long.
    const longest = new Set(this.#faults).size === 1 ? proofSeconds : proofSeconds * 5;
    const seconds = Math.min((proofSeconds / 10) * 2 ** this.#failures, longest);
    this.#failures += 1;
    this.#nextProof = performance.now() + seconds * 1000;
    this.#loop.wake();
    if (wasFit) this.#onChange();
  }

  /** Null: all hold; unless `strict`, as far as can be said while Postgres is away. */
  async #findUnfit(proofs: Proof[], { strict = false } = {}): Promise<Unfit | null> {
    for (const proof of proofs) {
      try {
        await proof();
      } catch (error) {
        if (error instanceof Unfit) return error;
        if (strict || !isDatabaseAway(error)) throw error;
      }
    }
    return null;
  }
}

/** For the team whose job it befell. */
function unfitFault(unfit: Unfit): JobError {
  return {
    code: unfit instanceof CardFault ? unfit.code : 'worker_unfit',
    message: `The worker cannot go on: ${unfit.plain}.`,
    param: null,
    fault: 'environment',
  };
}

function ignoreAway(error: unknown): null {
  if (!isDatabaseAway(error)) throw error;
  return null;
}
