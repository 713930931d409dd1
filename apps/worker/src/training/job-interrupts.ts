/**
 * Why a running job must stop. Where several hold, the first in this list decides what becomes of it. `expired`: the lease
 * has run out before it could be renewed, and nobody is known to have the job.
 */
const interruptions = ['fenced', 'cancel', 'expired', 'pause', 'preempt', 'shutdown'] as const;
export type Interruption = (typeof interruptions)[number];

/**
 * Turns reasons to stop into signals for the trainer: it is killed at once when its work is lost anyway, otherwise asked
 * to checkpoint, and killed when that takes longer than `drainMilliseconds`.
 */
export class JobInterrupts {
  /** Of the reasons so far, the one that comes first in the list. */
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

  /** Aborted: this worker is stopping, and its time for checkpoints is over. */
  get leaving(): AbortSignal {
    return this.#leaving.signal;
  }

  /** Aborted: nobody wants what this attempt has not recorded yet. */
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
