import { GraftError } from '../errors.ts';

/** How long one line of a file may take to become tokens, by default: a hundred times what the longest one needs. */
const LINE_MILLISECONDS = 30_000;

/** How long a text may take to become tokens. Whatever loops over it looks now and then. */
export class Deadline {
  readonly #milliseconds: number;
  readonly #end: number;

  constructor(milliseconds: number = LINE_MILLISECONDS) {
    this.#milliseconds = milliseconds;
    this.#end = threadMilliseconds() + milliseconds;
  }

  /** Throws `text_too_slow` once the time is over. */
  check(): void {
    if (threadMilliseconds() < this.#end) return;
    throw new GraftError(
      'text_too_slow',
      `takes more than ${this.#milliseconds / 1000} seconds to become tokens; split it into shorter examples`,
    );
  }
}

const { threadCpuUsage } = process as { threadCpuUsage?: () => { user: number; system: number } };

/** Of the processor for this thread, so that what else runs does not count; of the clock on versions of Node that cannot tell. */
function threadMilliseconds(): number {
  if (!threadCpuUsage) return performance.now();
  const { user, system } = threadCpuUsage.call(process);
  return (user + system) / 1000;
}
