/** A job that waits for a worker to claim it. */
export interface Dispatch {
  id: string;
  /** The lease epoch that the claim will have. */
  epoch: number;
}

/**
 * The doorbell between dispatcher and workers: it carries ids only, may be lost, and may ring twice. Postgres decides
 * what a ring means (`claimJob`).
 */
export interface JobQueue {
  /** Which backend rings: for logs and `/readyz`. */
  backend: 'redis' | 'postgres';
  /** Rings for a dispatched job. Rejects within a second or two when the queue is down: the reconciler rings again. */
  ring(lease: Dispatch): Promise<void>;
  /**
   * Calls `handler` for each ring, at most `concurrency` at a time. The ring counts as answered when the handler
   * settles; what it throws is logged. `close` waits for running handlers, whose `signal` is aborted.
   */
  consume(
    handler: (lease: Dispatch, signal: AbortSignal) => Promise<void>,
    options: { concurrency: number },
  ): Promise<{ close(): Promise<void> }>;
  /** Rings waiting. Rejects when the queue is down. */
  depth(): Promise<number>;
  close(): Promise<void>;
}
