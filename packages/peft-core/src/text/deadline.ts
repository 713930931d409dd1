import { GraftError } from '../errors.ts';

/** How long one line of a file may take to become tokens, by default: a hundred times what the longest one needs. */
const LINE_MILLISECONDS = 30_000;

/** How long a text may take to become tokens. Whatever loops over it looks now and then. */
export class Deadline {
  readonly #milliseconds: number;
  readonly #start = now();

  constructor(milliseconds: number = LINE_MILLISECONDS) {
    this.#milliseconds = milliseconds;
  }

  /** Throws `text_too_slow` once the time is over. */
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
 * Milliseconds of the clock, and of the processor for this thread: what else runs is not to count. Older versions of Node report what
 * all threads used together; a thread itself used no more than that, and no more than the clock says.
 */
function now(): { clock: number; processor: number } {
  const { user, system } = threadCpuUsage ? threadCpuUsage.call(process) : process.cpuUsage();
  return { clock: performance.now(), processor: (user + system) / 1000 };
}
