import { cpus, totalmem } from 'node:os';
import path from 'node:path';
import { Controls } from './harness/control.ts';
import { ledgerFaults } from './harness/oracles/ledger.ts';
import { Random } from './harness/random.ts';
import { Rig } from './harness/rig.ts';
import { type Queue, type Run, RunReport, type Scenario } from './harness/scenario.ts';
import { productionTimings, type Timings, testTimings } from './harness/timings.ts';
import { hasTool } from './harness/tools.ts';
import type { Options } from './options.ts';
import type { Result } from './report/result.ts';

const workers = 2;

/** Runs scenarios one after another; those that need the same kind of rig share one. */
export class Runner {
  readonly #options: Options;
  readonly #folder: string;
  readonly #progress: (text: string) => void;
  readonly #controls = new Controls();
  #rig: { rig: Rig; kind: string } | null = null;
  #rigs = 0;

  constructor(options: Options, folder: string, progress: (text: string) => void) {
    this.#options = options;
    this.#folder = folder;
    this.#progress = progress;
  }

  /** @param inTime false: only reports that there was no time for it */
  async run(scenario: Scenario, queue: Queue, inTime: boolean): Promise<Result> {
    const { profile, seed } = this.#options;
    const started = performance.now();
    const report = new RunReport(this.#progress);
    const base = { scenario: scenario.name, title: scenario.title, queue, seed, profile, logs: this.#folder };
    const needed = [...(scenario.needs ?? []), ...(queue === 'redis' ? (['redis-server'] as const) : [])];
    const missing: string[] = inTime ? needed.filter((tool) => !hasTool(tool)) : ['time'];
    const timings = this.#timingsOf(scenario);
    if (missing.length === 0) {
      let rig: Rig | null = null;
      try {
        rig = await this.#rigOf(queue, timings, scenario.dataFolderMib);
        const held = rig;
        const run: Run = {
          scenario,
          rig,
          rounds: this.#options.rounds ?? scenario.rounds[profile],
          random: new Random(seed, `${scenario.name} ${queue}`),
          timings,
          report,
          control: async (variant) => await this.#controls.of(held, variant),
        };
        await scenario.run(run);
        await rig.heal();
        report.broken('the ledger agrees with what it counts', await ledgerFaults(rig));
      } catch (error) {
        report.broken('the scenario finishes', [(error as Error).stack ?? String(error)]);
        await this.close();
      }
      report.broken('no process ends by itself', rig?.takeCrashes() ?? []);
    }
    return {
      ...base,
      timings: timings.name,
      missing,
      tried: report.tried,
      survived: report.survived,
      recoveries: report.recoveries,
      figures: report.figures,
      failures: report.failures,
      seconds: (performance.now() - started) / 1000,
    };
  }

  async close(): Promise<void> {
    const open = this.#rig;
    this.#rig = null;
    await open?.rig.close();
  }

  #timingsOf(scenario: Scenario): Timings {
    const isProduction = this.#options.profile === 'long' && !scenario.testTimings;
    return (this.#options.timings ?? (isProduction ? 'production' : 'test')) === 'test'
      ? testTimings
      : productionTimings;
  }

  async #rigOf(queue: Queue, timings: Timings, dataFolderMib?: number): Promise<Rig> {
    const kind = [queue, timings.name, dataFolderMib].filter(Boolean).join('-');
    if (this.#rig?.kind !== kind) {
      await this.close();
      const folder = path.join(this.#folder, `${++this.#rigs}-${kind}`);
      this.#rig = { rig: await Rig.open({ folder, queue, timings, workers, dataFolderMib }), kind };
    }
    return this.#rig.rig;
  }
}

/** For the report. */
export function machine(): string {
  const [cpu] = cpus();
  return `${cpus().length} × ${cpu?.model.trim()}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform}, Node ${process.versions.node}`;
}
