/** A dispatched job that waits for a worker to claim it. */
export interface Dispatch {
  id: string;
  /** The lease epoch that the claim will have. */
  epoch: number;
}

/**
 * The notifications ("rings") from dispatcher to workers. A ring carries only ids, may be lost, and may arrive twice. Postgres decides
 * what it means (`claimJob`).
 */
export interface JobQueue {
  /** The backend of the queue: for logs and `/readyz`. */
  backend: 'redis' | 'postgres';
  /** Notifies workers of a dispatched job. Rejects within a second or two if the queue is down: the reconciler repeats the ring. */
  ring(lease: Dispatch): Promise<void>;
  /**
   * Calls `handler` for each ring, at most `concurrency` at a time. A ring is done when the handler settles; errors that it
   * throws are logged. `close` aborts `signal` and waits for running handlers.
   */
  consume(
    handler: (lease: Dispatch, signal: AbortSignal) => Promise<void>,
    options: { concurrency: number },
  ): Promise<{ close(): Promise<void> }>;
  /** Returns the number of waiting rings. Rejects if the queue is down. */
  depth(): Promise<number>;
  close(): Promise<void>;
}
