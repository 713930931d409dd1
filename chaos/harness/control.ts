import { createJob, isOver, untilJob } from './jobs.ts';
import { type Outcome, outcomeOf } from './oracles/job-outcome.ts';
import type { Rig } from './rig.ts';
import type { Variant } from './workload.ts';

/** Results of undisturbed jobs. Each variant runs once, before the first fault of a scenario that uses it. */
export class Controls {
  readonly #known = new Map<string, Outcome>();

  async of(rig: Rig, variant: Variant): Promise<Outcome> {
    const known = this.#known.get(variant.name);
    if (known) return known;
    const job = await createJob(rig, variant);
    const row = await untilJob(rig, job, isOver);
    const outcome = await outcomeOf(rig, job.id);
    const { max_steps: steps } = variant.training;
    if (row.state !== 'succeeded' || row.attempts !== 1 || outcome.train.length !== steps) {
      throw new Error(
        `The undisturbed job (${variant.name}) is ${row.state} after ${row.attempts} attempts with ${outcome.train.length} of ${steps} steps: ${JSON.stringify(row.error)}`,
      );
    }
    this.#known.set(variant.name, outcome);
    return outcome;
  }
}
