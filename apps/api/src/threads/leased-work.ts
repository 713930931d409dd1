import { repeat } from '@graft/service/repeat';
import type { Services } from '@graft/service/services';

/** Work that processes claim from Postgres with leases. */
export interface LeasedWork {
  /** Signals that there may be something to claim. */
  wake(): void;
  /** Stops claiming, fires the signal of running work, and resolves when that work has ended. */
  close(): Promise<void>;
}

interface Claims<Claim> {
  name: string;
  sweepMs: number;
  most: number;
  /** Null: nothing to claim. */
  claim(underWay: number): Promise<Claim | null>;
  /** Must not reject. */
  work(claimed: Claim, stopping: AbortSignal): Promise<void>;
  /** Called when all work has ended. */
  closed(): Promise<unknown>;
}

/** Claims work on each `wake`, every `sweepMs`, and when other work ends. */
export function claimWork<Claim>(
  { log }: Pick<Services, 'log'>,
  { name, sweepMs, most, claim, work, closed }: Claims<Claim>,
): LeasedWork {
  const underWay = new Set<Promise<void>>();
  const claimAll = async (stopping: AbortSignal) => {
    while (underWay.size < most && !stopping.aborted) {
      const claimed = await claim(underWay.size);
      if (!claimed) return;
      const done = work(claimed, stopping).finally(() => {
        underWay.delete(done);
        loop.wake();
      });
      underWay.add(done);
    }
  };
  const loop = repeat(name, sweepMs, claimAll, log);
  return {
    wake: loop.wake,
    close: async () => {
      await loop.stop();
      await Promise.all(underWay);
      await closed();
    },
  };
}

/** Maximum milliseconds between heartbeats: a cancel must take effect within two seconds. */
const heartbeatMs = 1000;

/** Renews a lease until `release`. `lost` fires when `renew` resolves to nothing: the work was cancelled or claimed by another process. */
export function holdLease(
  name: string,
  { log, env }: Pick<Services, 'log' | 'env'>,
  renew: () => Promise<unknown>,
): { lost: AbortSignal; release(): Promise<void> } {
  const lost = new AbortController();
  const heartbeat = async () => {
    if (!(await renew())) lost.abort();
  };
  const loop = repeat(name, Math.min(heartbeatMs, env.leaseSeconds * 250), heartbeat, log);
  return { lost: lost.signal, release: loop.stop };
}
