import { GraftError } from '../errors.ts';

/** Default time limit for tokenising one line of a file: a hundred times what the longest line needs. */
const LINE_MILLISECONDS = 30_000;

/** Time limit for tokenising a text. Loops over the text check it regularly. */
export class Deadline {
  readonly #milliseconds: number;
  readonly #start = now();

  constructor(milliseconds: number = LINE_MILLISECONDS) {
    this.#milliseconds = milliseconds;
  }

  /** Throws `text_too_slow` when the time is over. */
  check(): void {
    const { clock, processor } = now();
    const passed = Math.min(clock - this.#start.clock, processor - this.#start.processor);
    if (passed < this.#milliseconds) return;
    throw new GraftError(
      'text_too_slow',
      `takes more than ${this.#milliseconds / 1000} seconds to become tokens; split it into shorter examples`,
    );
  }
}

const { threadCpuUsage } = process as { threadCpuUsage?: () => { user: number; system: number } };

/**
 * Milliseconds of the clock, and of this thread's CPU time, so that other load does not count. Older versions of Node report only the
 * CPU time of all threads together; a thread itself has used at most that much, and at most the clock time.
 */
function now(): { clock: number; processor: number } {
  const { user, system } = threadCpuUsage ? threadCpuUsage.call(process) : process.cpuUsage();
  return { clock: performance.now(), processor: (user + system) / 1000 };
}
