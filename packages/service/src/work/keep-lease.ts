export interface HeldLease {
  /** Aborts when the lease is lost, or might be. */
  lost: AbortSignal;
  /** Checks whether this process certainly has the lease at this moment, even if it stood still since the last renewal. */
  isHeld(): boolean;
  /** Renews the lease at once, and rejects when it is lost. Await it before anything is sent that cannot be taken back. */
  confirm(): Promise<void>;
  end(): void;
}

/**
 * Renews the lease of claimed work until `end`. `claimedAt`: `performance.now()` before the claim. `everyMs`: maximum time between
 * renewals. `renew` returns whether the lease is
 * still held; if it fails, Postgres may return before the lease has run out, so `onFault` is called and the next renewal decides.
 */
export function keepLease(
  { claimedAt, leaseSeconds, everyMs = 5_000 }: { claimedAt: number; leaseSeconds: number; everyMs?: number },
  renew: () => Promise<boolean>,
  onFault: (error: unknown) => void,
): HeldLease {
  const lost = new AbortController();
  let heldSince = claimedAt;
  let renewing = false;
  const isHeld = () => !lost.signal.aborted && performance.now() - heldSince <= leaseSeconds * 900;
  const renewNow = async () => {
    const at = performance.now();
    if (await renew()) heldSince = at;
    else lost.abort();
  };
  const timer = setInterval(
    async () => {
      if (!isHeld()) return lost.abort();
      if (renewing) return;
      renewing = true;
      try {
        await renewNow();
      } catch (error) {
        onFault(error);
      } finally {
        renewing = false;
      }
    },
    Math.min(leaseSeconds * 100, everyMs),
  );
  return {
    lost: lost.signal,
    isHeld,
    confirm: async () => {
      await renewNow().catch((error: unknown) => lost.abort(error));
      lost.signal.throwIfAborted();
    },
    end: () => clearInterval(timer),
  };
}
