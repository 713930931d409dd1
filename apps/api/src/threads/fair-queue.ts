/** Runs limited concurrent work, with waiting owners in turn. */
export interface FairQueue {
  /** Runs `work` when it is `owner`'s turn. Rejects with QueueFull if too much work waits, or if `withinMs` pass before the turn. */
  run<T>(owner: string, work: () => Promise<T>, withinMs?: number): Promise<T>;
  /** Like `run`, for work that ends elsewhere: resolves when it may start, to a function that must be called at its end. */
  turn(owner: string, withinMs?: number): Promise<() => void>;
}

/** More work than can be done: nothing was started. */
export class QueueFull extends Error {
  /** Whose work is too much: the owner's alone, or that of all. */
  readonly whose: 'owner' | 'all';

  constructor(whose: 'owner' | 'all') {
    super(
      whose === 'owner'
        ? 'You have too many requests of this kind open; try again when one is answered.'
        : 'The server has more requests than it can answer; try again.',
    );
    this.name = 'QueueFull';
    this.whose = whose;
  }
}

interface Limits {
  running: { perOwner: number; all: number };
  /** Maximum waiting work, so that no owner fills the queue. */
  waiting: { perOwner: number; all: number };
}

export function createFairQueue({ running, waiting }: Limits): FairQueue {
  /** Waiting owners in the order of their turns, each with functions that start its work. */
  const owners = new Map<string, (() => void)[]>();
  const underWay = new Map<string, number>();
  let allUnderWay = 0;
  let allWaiting = 0;

  function startNext(): void {
    for (const [owner, works] of owners) {
      if (allUnderWay >= running.all) return;
      const count = underWay.get(owner) ?? 0;
      if (count >= running.perOwner) continue;
      underWay.set(owner, count + 1);
      allUnderWay++;
      allWaiting--;
      const start = works.shift()!;
      // Goes behind all others until its next turn.
      owners.delete(owner);
      if (works.length > 0) owners.set(owner, works);
      start();
    }
  }

  function end(owner: string): void {
    const count = underWay.get(owner)! - 1;
    if (count > 0) underWay.set(owner, count);
    else underWay.delete(owner);
    allUnderWay--;
    startNext();
  }

  async function turn(owner: string, withinMs?: number): Promise<() => void> {
    const own = owners.get(owner) ?? [];
    if (own.length >= waiting.perOwner) throw new QueueFull('owner');
    if (allWaiting >= waiting.all) throw new QueueFull('all');
    let late: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      own.push(resolve);
      owners.set(owner, own);
      allWaiting++;
      startNext();
      if (withinMs === undefined || !own.includes(resolve)) return;
      late = setTimeout(() => {
        own.splice(own.indexOf(resolve), 1);
        if (own.length === 0) owners.delete(owner);
        allWaiting--;
        reject(new QueueFull('all'));
      }, withinMs);
    }).finally(() => clearTimeout(late));
    let ended = false;
    return () => {
      if (!ended) end(owner);
      ended = true;
    };
  }

  return {
    turn,
    run: async (owner, work, withinMs) => {
      const done = await turn(owner, withinMs);
      try {
        return await work();
      } finally {
        done();
      }
    },
  };
}
