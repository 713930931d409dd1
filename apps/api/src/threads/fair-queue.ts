/** Runs one piece of work at a time, turn by turn for those who wait. */
export interface FairQueue {
  /** Runs `work` when it is `owner`'s turn. Rejects with QueueFull when too much waits already. */
  run<T>(owner: string, work: () => Promise<T>): Promise<T>;
}

export class QueueFull extends Error {}

/** What may wait: of one owner, so that nobody fills the queue for others, and of all. */
export function createFairQueue(limits: { perOwner: number; all: number }): FairQueue {
  /** In the order of their turns. */
  const owners = new Map<string, (() => Promise<void>)[]>();
  let waiting = 0;
  let running = false;

  async function runAll(): Promise<void> {
    running = true;
    for (let next = take(); next; next = take()) await next();
    running = false;
  }

  function take(): (() => Promise<void>) | null {
    const [first] = owners;
    if (!first) return null;
    const [owner, works] = first;
    const work = works.shift()!;
    waiting--;
    // Behind all others until its next turn.
    owners.delete(owner);
    if (works.length > 0) owners.set(owner, works);
    return work;
  }

  return {
    run: async (owner, work) => {
      const own = owners.get(owner) ?? [];
      if (own.length >= limits.perOwner || waiting >= limits.all) throw new QueueFull();
      return await new Promise((resolve, reject) => {
        own.push(async () => await work().then(resolve, reject));
        owners.set(owner, own);
        waiting++;
        if (!running) void runAll();
      });
    },
  };
}
