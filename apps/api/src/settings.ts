/** Limits and rhythms of the API process. The defaults are for production; tests shorten them. */
export interface ApiSettings {
  /** A JSON body that takes longer to arrive is given up with 408. */
  bodyTimeoutMs: number;
  /** An upload without a byte for this long is cut off. */
  uploadIdleMs: number;
  /** The longest any request, a slow upload too, may take to arrive. */
  requestTimeoutMs: number;
  /** How often an event stream looks for new events. */
  eventPollMs: number;
  /** A silent event stream sends a comment this often, so that proxies keep it open. */
  streamHeartbeatMs: number;
  /** How long a completion waits for a worker before 503. */
  workerWaitMs: number;
  /** How often jobs whose validation was abandoned are looked for. */
  validationSweepMs: number;
  /** Answers that do not match their schema fail: tests. */
  checkResponses: boolean;
}

export const defaultSettings: ApiSettings = {
  bodyTimeoutMs: 30_000,
  uploadIdleMs: 60_000,
  requestTimeoutMs: 60 * 60_000,
  eventPollMs: 1_000,
  streamHeartbeatMs: 15_000,
  workerWaitMs: 3_000,
  validationSweepMs: 10_000,
  checkResponses: false,
};
