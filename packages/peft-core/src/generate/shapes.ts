import { GraftError } from '../errors.ts';

export interface ShapeLimits {
  /** Maximum number of shapes. A session cannot drop functions, so with more the program is rebuilt. */
  most: number;
  /** Number of a team's shapes beyond which it gets no further one while other teams have requests. */
  teamLimit: number;
  /** Milliseconds for which requests for loaded models are admitted although a rebuild is awaited. */
  grace: number;
  /** Milliseconds that a request waits for a rebuild. */
  wait: number;
}

const defaults: ShapeLimits = { most: 32, teamLimit: 8, grace: 5_000, wait: 30_000 };

/** There is no capacity for a further shape: end the use, and call `waitForCapacity`. */
export class ShapesFull extends Error {}

interface Drain {
  since: number;
  ended: Promise<void>;
  end(): void;
  fail(reason: unknown): void;
}

/**
 * The shapes of adapters for which a program has functions, with a limit. A request for one more waits until the requests in progress end;
 * then the program is rebuilt without shapes. Requests for loaded models continue meanwhile for a while, so that those in progress end
 * although more keep coming.
 */
export class Shapes<T> {
  readonly #rebuild: () => void;
  readonly #limits: ShapeLimits;
  readonly #shapes = new Map<string, { attached: T; team: string }>();
  /** Number of uses by team. */
  readonly #users = new Map<string, number>();
  #drain: Drain | null = null;
  #closed: unknown = null;

  /** `rebuild` drops the program and what is loaded on it; the shapes are then forgotten. */
  constructor(rebuild: () => void, limits: Partial<ShapeLimits> = {}) {
    this.#rebuild = rebuild;
    this.#limits = { ...defaults, ...limits };
  }

  get size(): number {
    return this.#shapes.size;
  }

  /** The functions of a shape, which the first use attaches. Throws ShapesFull. */
  async attached(shape: string, team: string, attach: () => T | Promise<T>): Promise<T> {
    const known = this.#shapes.get(shape);
    if (known) return known.attached;
    if (this.#isFullFor(team)) throw new ShapesFull();
    const attached = await attach();
    this.#shapes.set(shape, { attached, team });
    return attached;
  }

  /**
   * Begins a use, after a rebuild that is awaited unless the model is loaded. Returns what ends it. Throws `adapter_shapes_full` if the
   * requests in progress take too long.
   */
  async enter(team: string, isLoaded: () => boolean): Promise<() => void> {
    const until = performance.now() + this.#limits.wait;
    for (;;) {
      if (this.#closed !== null) throw this.#closed;
      const drain = this.#drain;
      const isAdmitted = drain && performance.now() - drain.since < this.#limits.grace && isLoaded();
      if (!drain || (isAdmitted && !this.#hasItsShare(team))) break;
      await this.#ended(drain, until);
    }
    return this.hold(team);
  }

  /** Prevents a rebuild until the returned function is called. */
  hold(team: string): () => void {
    this.#users.set(team, (this.#users.get(team) ?? 0) + 1);
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      const left = this.#users.get(team)! - 1;
      if (left === 0) this.#users.delete(team);
      else this.#users.set(team, left);
      // Not within a step, which may end the use.
      if (this.#drain && this.#users.size === 0) setImmediate(() => this.#rebuildIfUnused());
    };
  }

  /** Waits until the program was rebuilt, if there is still no room. Throws `adapter_shapes_full` if that takes too long, or to a team that has its share. */
  async waitForCapacity(team: string): Promise<void> {
    if (!this.#isFullFor(team)) return;
    if (this.#hasItsShare(team))
      throw this.#full(`your team's adapters have ${this.#limits.teamLimit} shapes`);
    this.#drain ??= startDrain();
    const drain = this.#drain;
    if (this.#users.size === 0) setImmediate(() => this.#rebuildIfUnused());
    await this.#ended(drain, performance.now() + this.#limits.wait);
  }

  /** Makes waiting calls fail with this reason. */
  close(reason: unknown): void {
    this.#closed = reason;
    this.#drain?.fail(reason);
    this.#shapes.clear();
  }

  #rebuildIfUnused(): void {
    if (!this.#drain || this.#users.size > 0 || this.#closed !== null) return;
    const { end } = this.#drain;
    this.#drain = null;
    this.#shapes.clear();
    this.#rebuild();
    end();
  }

  #isFullFor(team: string): boolean {
    return this.#shapes.size >= this.#limits.most || this.#hasItsShare(team);
  }

  /** Checks whether a team has as many shapes as it may have while others need the program. */
  #hasItsShare(team: string): boolean {
    const isAlone = [...this.#users.keys()].every((other) => other === team);
    const own = [...this.#shapes.values()].filter((shape) => shape.team === team).length;
    return own >= this.#limits.teamLimit && !isAlone;
  }

  async #ended({ ended }: Drain, until: number): Promise<void> {
    let late: NodeJS.Timeout | undefined;
    const isLate = new Promise<never>((_, reject) => {
      const full = this.#full(`the adapters in use have ${this.#limits.most} shapes`);
      late = setTimeout(() => reject(full), Math.max(0, until - performance.now()));
    });
    try {
      await Promise.race([ended, isLate]);
    } finally {
      clearTimeout(late);
    }
  }

  #full(why: string): GraftError {
    return new GraftError(
      'adapter_shapes_full',
      `${why} (methods, ranks, modules), and this worker prepares no further one until their requests have ended; try again in a minute, or use adapters with the same options`,
      { param: 'model', fault: 'environment' },
    );
  }
}

function startDrain(): Drain {
  let [end, fail] = [() => {}, (_: unknown) => {}];
  const ended = new Promise<void>((resolve, reject) => {
    end = resolve;
    fail = reject;
  });
  // Each that waits sees the failure; there may be none.
  ended.catch(() => {});
  return { since: performance.now(), ended, end: () => end(), fail: (reason) => fail(reason) };
}
