/**
 * Reasons for stopping a running job. If there are several, the first in this list decides the outcome. `expired`: the lease ended
 * before it could be renewed, and no other worker is known to have the job.
 */
const interruptions = ['fenced', 'cancel', 'expired', 'pause', 'preempt', 'shutdown'] as const;
export type Interruption = (typeof interruptions)[number];

/**
 * Turns reasons into signals for the trainer: it is killed immediately when its work is lost anyway. Otherwise it is asked to write a
 * checkpoint, and killed when that takes longer than `drainMilliseconds`.
 */
export class JobInterrupts {
  /** The reason received so far that comes first in the list. */
  why: Interruption | null = null;
  readonly #stop = new AbortController();
  readonly #kill = new AbortController();
  readonly #leaving = new AbortController();
  readonly #lost = new AbortController();
  readonly #drainMilliseconds: number;
  #drain: NodeJS.Timeout | undefined;

  constructor(drainMilliseconds: number) {
    this.#drainMilliseconds = drainMilliseconds;
  }

  /** Aborted: checkpoint and stop. */
  get stop(): AbortSignal {
    return this.#stop.signal;
  }

  /** Aborted: end the trainer now. */
  get kill(): AbortSignal {
    return this.#kill.signal;
  }

  /** Aborted: this worker is stopping, and its time for writing checkpoints is over. */
  get leaving(): AbortSignal {
    return this.#leaving.signal;
  }

  /** Aborted: unrecorded results of this attempt are no longer needed. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  interrupt(reason: Interruption): void {
    if (this.why && interruptions.indexOf(this.why) <= interruptions.indexOf(reason)) return;
    this.why = reason;
    this.#stop.abort();
    if (reason === 'fenced' || reason === 'cancel' || reason === 'expired') {
      this.#lost.abort();
      this.killNow();
    } else this.#drain ??= setTimeout(() => this.killNow(), this.#drainMilliseconds);
  }

  killNow(): void {
    this.#kill.abort();
    if (this.why === 'shutdown') this.#leaving.abort();
  }

  close(): void {
    clearTimeout(this.#drain);
  }
}
