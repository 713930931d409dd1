/** Leases of a Graft, in seconds. */
export interface Timings {
  name: 'test' | 'production';
  lease: number;
  heartbeat: number;
  sweep: number;
}

export const testTimings: Timings = { name: 'test', lease: 5, heartbeat: 1, sweep: 1 };
export const productionTimings: Timings = { name: 'production', lease: 60, heartbeat: 10, sweep: 10 };
