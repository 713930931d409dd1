import { type ClaimedTarget, renewTarget } from './claim-targets.ts';
import type { DeployServices } from './deploy-times.ts';

export interface HeldLease {
  /** Aborts when the lease is lost, or might be. */
  lost: AbortSignal;
  /** Whether the lease is certainly held at this moment, also if this process stood still since the last renewal. */
  isHeld(): boolean;
  end(): void;
}

/** Renews the lease of a target until `end`. `claimedAt`: `performance.now()` before the claim. */
export function keepLease(
  services: Pick<DeployServices, 'sql' | 'log'>,
  claimed: ClaimedTarget,
  { claimedAt, leaseSeconds }: { claimedAt: number; leaseSeconds: number },
): HeldLease {
  const lost = new AbortController();
  let heldSince = claimedAt;
  let renewing = false;
  const isHeld = () => !lost.signal.aborted && performance.now() - heldSince <= leaseSeconds * 900;
  const timer = setInterval(
    async () => {
      if (!isHeld()) return lost.abort();
      if (renewing) return;
      renewing = true;
      const at = performance.now();
      try {
        if (await renewTarget(services, claimed, leaseSeconds)) heldSince = at;
        else lost.abort();
      } catch (err) {
        // Postgres may return before the lease has run out.
        const { teamId, id: target } = claimed;
        services.log.warn({ err, teamId, target }, 'the lease of a deploy target could not be renewed');
      } finally {
        renewing = false;
      }
    },
    Math.min(leaseSeconds * 100, 5_000),
  );
  return { lost: lost.signal, isHeld, end: () => clearInterval(timer) };
}
