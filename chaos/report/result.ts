import type { Failure, Figure, Queue } from '../harness/scenario.ts';

/** The result of one scenario on one queue backend. */
export interface Result {
  scenario: string;
  title: string;
  queue: Queue;
  seed: number;
  profile: 'short' | 'long';
  timings: 'test' | 'production';
  /** Missing tools, or missing time, because of which it was left out. */
  missing: string[];
  tried: number;
  survived: number;
  /** Milliseconds. */
  recoveries: number[];
  figures: Figure[];
  failures: Failure[];
  seconds: number;
  /** Folder. */
  logs: string;
}

export const isLost = ({ failures }: Pick<Result, 'failures'>): boolean => failures.length > 0;

/** The command that repeats it. */
export function replay({ scenario, seed, profile }: Pick<Result, 'scenario' | 'seed' | 'profile'>): string {
  return `npm run chaos -- --profile ${profile} --only ${scenario} --seed ${seed}`;
}
