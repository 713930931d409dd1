import type { Outcome } from './oracles/job-outcome.ts';
import type { Random } from './random.ts';
import type { Rig } from './rig.ts';
import type { Timings } from './timings.ts';
import type { Tool } from './tools.ts';
import type { Variant } from './workload.ts';

export type Queue = 'postgres' | 'redis';

/** One kind of fault: how it is done, how often, and what must hold afterwards. */
export interface Scenario {
  /** For --only. */
  name: string;
  /** A row of the table. */
  title: string;
  /** A sentence for docs/reliability.md: what is done, and what must hold. */
  about: string;
  /** Rounds of each profile; 0 leaves it out. */
  rounds: { short: number; long: number };
  /** Queue backends that it is tried on. Default Postgres alone. */
  queues?: readonly Queue[];
  /** What the machine must have; without one of them it is left out, and the table says so. */
  needs?: readonly Tool[];
  /** Short leases in the long profile too: what is tried does not depend on them, or would take a minute a round and more. */
  testTimings?: boolean;
  /** Its own rig, whose data folder is a file system of this size. */
  dataFolderMib?: number;
  run(run: Run): Promise<void>;
}

/** A measured number, and what it should be at most: it is shown, and fails nothing, as a busy machine is slower. */
export interface Figure {
  name: string;
  value: number;
  unit: string;
  most?: number;
}

export interface Failure {
  /** What of the promise is broken. */
  oracle: string;
  detail: string;
}

/** What a scenario works with, and tells of. */
export interface Run {
  scenario: Scenario;
  rig: Rig;
  rounds: number;
  random: Random;
  timings: Timings;
  report: RunReport;
  /** What an undisturbed run of the variant gives. */
  control(variant: Variant): Promise<Outcome>;
}

/** Counts and measures one run of a scenario. */
export class RunReport {
  tried = 0;
  readonly failures: Failure[] = [];
  readonly recoveries: number[] = [];
  readonly figures: Figure[] = [];
  #unsurvived = 0;
  readonly #onProgress: (text: string) => void;

  constructor(onProgress: (text: string) => void) {
    this.#onProgress = onProgress;
  }

  get survived(): number {
    return Math.max(0, this.tried - this.#unsurvived);
  }

  progress(text: string): void {
    this.#onProgress(text);
  }

  /** A fault was done. */
  fault(): void {
    this.tried += 1;
  }

  /** The service went on so many milliseconds after the fault; null: not while it was waited for. */
  recovered(milliseconds: number | null): void {
    if (milliseconds !== null) this.recoveries.push(milliseconds);
  }

  /** One fault was not survived, for these reasons. */
  broken(oracle: string, details: string[]): void {
    if (details.length === 0) return;
    this.#unsurvived += 1;
    for (const detail of details) this.failures.push({ oracle, detail });
    this.progress(`✖ ${oracle}: ${details[0]}`);
  }

  figure(name: string, value: number, unit: string, most?: number): void {
    this.figures.push({ name, value, unit, ...(most !== undefined && { most }) });
  }
}
