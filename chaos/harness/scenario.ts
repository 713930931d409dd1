import type { Outcome } from './oracles/job-outcome.ts';
import type { Random } from './random.ts';
import type { Rig } from './rig.ts';
import type { Timings } from './timings.ts';
import type { Tool } from './tools.ts';
import type { Variant } from './workload.ts';

export type Queue = 'postgres' | 'redis';

/** One kind of fault: how to inject it, how often, and what must hold afterwards. */
export interface Scenario {
  /** For --only. */
  name: string;
  /** A row of the table. */
  title: string;
  /** A sentence for chaos/reliability.md: what happens, and what must hold. */
  about: string;
  /** Rounds in each profile; 0 leaves the scenario out. */
  rounds: { short: number; long: number };
  /** Queue backends that it runs on. Default: Postgres only. */
  queues?: readonly Queue[];
  /** Tools that the machine must have; without one of them the scenario is left out, and the table reports that. */
  needs?: readonly Tool[];
  /** Short leases in the long profile too: the scenario does not depend on them, or would take a minute or more a round. */
  testTimings?: boolean;
  /** Needs a separate rig, whose data folder is a file system of this size. */
  dataFolderMib?: number;
  run(run: Run): Promise<void>;
}

/** A measurement with its target. It is shown but fails nothing, because a busy machine is slower. */
export interface Figure {
  name: string;
  value: number;
  unit: string;
  most?: number;
}

export interface Failure {
  /** The broken part of the promise. */
  oracle: string;
  detail: string;
}

export interface Run {
  scenario: Scenario;
  rig: Rig;
  rounds: number;
  random: Random;
  timings: Timings;
  report: RunReport;
  /** The results of an undisturbed run of the variant. */
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

  /** Counts an injected fault. */
  fault(): void {
    this.tried += 1;
  }

  /** The service continued this many milliseconds after the fault; null: not within the time limit. */
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
