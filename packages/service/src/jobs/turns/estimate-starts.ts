/** Estimates when a waiting job starts: simulates the queue many times with durations of past jobs. */

/** Seconds from now. */
export interface StartEstimate {
  /** The job has started by then in half of the simulations. */
  median: number;
  /** The job has started by then in nine of ten simulations. */
  late: number;
}

/** The simulation takes the API's event loop a few milliseconds; places beyond `maxPlaces` are extrapolated at the same pace. */
const rounds = 40;
const maxPlaces = 500;

export interface SlotHistory {
  slots: number;
  /** Jobs ahead of the first waiting job. */
  dispatched: number;
  /** Number of places to estimate. */
  queued: number;
  /** Seconds that each running job has held its slot, and that it reports as remaining; null if it reports none. */
  running: { held: number; left: number | null }[];
  /** Seconds that past jobs held their slots. */
  ran: number[];
}

/**
 * Estimates starts by place in the queue, from 1. Each simulation draws the duration of every job ahead from past jobs, and gives each
 * slot that becomes free to the next job. The rest of a running job is what it reports, or else drawn from past jobs that took longer
 * than it has so far. Returns null without past jobs or slots. The draws are the same at each call, so that an estimate does not flicker.
 */
export function estimateStarts(history: SlotHistory): (place: number) => StartEstimate | null {
  const { slots, dispatched, queued, ran } = history;
  if (ran.length === 0 || slots === 0) return () => null;
  const sorted = ran.toSorted((a, b) => a - b);
  const places = Math.min(queued, maxPlaces);
  const starts: number[][] = Array.from({ length: places }, () => []);
  for (let round = 0; round < rounds; round++) {
    const draw = createDraw(round);
    const free = freeTimes(history, sorted, draw);
    for (let place = 1 - dispatched; place <= places; place++) {
      // The slot that is free first takes the job.
      const at = free.shift()!;
      insert(free, at + pick(sorted, draw()));
      if (place >= 1) starts[place - 1]!.push(at);
    }
  }
  const estimates = starts.map((times) => {
    times.sort((a, b) => a - b);
    return { median: pick(times, 0.5), late: pick(times, 0.9) };
  });
  const pace = sorted.reduce((sum, seconds) => sum + seconds, 0) / sorted.length / slots;
  return (place) => {
    const known = estimates[Math.min(place, places) - 1];
    if (!known) return null;
    const beyond = Math.max(0, place - places) * pace;
    return { median: known.median + beyond, late: known.late + beyond };
  };
}

/** Returns when each slot is free for another job, ascending. */
function freeTimes({ slots, running }: SlotHistory, sorted: number[], draw: () => number): number[] {
  const free: number[] = [];
  for (const { held, left } of running.slice(0, slots)) {
    const longer = sorted.filter((seconds) => seconds > held);
    // A job that has taken longer than all past jobs may take up to as long again.
    const rest = longer.length > 0 ? pick(longer, draw()) - held : held * draw();
    insert(free, left ?? rest);
  }
  while (free.length < slots) free.unshift(0);
  return free;
}

/** Puts `time` into the ascending `times`. */
function insert(times: number[], time: number): void {
  let low = 0;
  for (let high = times.length; low < high; ) {
    const middle = (low + high) >> 1;
    if (times[middle]! <= time) low = middle + 1;
    else high = middle;
  }
  times.splice(low, 0, time);
}

/** Returns the quantile `q` of the ascending `values`. */
function pick(values: number[], q: number): number {
  return values[Math.min(values.length - 1, Math.floor(q * values.length))]!;
}

/** Returns a generator of numbers in [0, 1): mulberry32. */
function createDraw(seed: number): () => number {
  let state = (seed + 1) * 0x9e3779b9;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
