import type { Failure, Figure, Queue } from '../harness/scenario.ts';

/** What one scenario on one queue backend came to. */
export interface Result {
  scenario: string;
  title: string;
  queue: Queue;
  seed: number;
  profile: 'short' | 'long';
  timings: 'test' | 'production';
  /** Tools that this machine lacks, or time: it was left out. */
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

/** The command that does it again. */
export function replay({ scenario, seed, profile }: Pick<Result, 'scenario' | 'seed' | 'profile'>): string {
  return `npm run chaos -- --profile ${profile} --only ${scenario} --seed ${seed}`;
}
