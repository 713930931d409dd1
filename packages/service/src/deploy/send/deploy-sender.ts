import { withTeamScope } from '../../database/database-scope.ts';
import { createEgress, startSending } from '../../start-sending.ts';
import { deployRules } from '../manage-targets.ts';
import { RuntimeFault } from '../runtimes/runtime.ts';
import { type ClaimedTarget, claimTargets } from './claim-targets.ts';
import type { DeployServices, DeployTimes } from './deploy-times.ts';
import { reconcile } from './reconcile.ts';
import { recordFault, release } from './record-target.ts';

const defaults: DeployTimes = {
  pollMs: 2_000,
  concurrency: 16,
  perTeam: 4,
  // Loading reads a file of up to some gigabytes, and an unload of SGLang waits for requests that use the adapter.
  leaseSeconds: 900,
  connectMs: 5_000,
  wholeMs: 180_000,
  firstSeconds: 5,
  longestSeconds: 300,
  checkSeconds: 30,
  filesSeconds: 900,
  giveUpSeconds: 24 * 3600,
};

/**
 * Keeps each runtime at the version that its target's tag points at. What is wanted and what the runtime lists are compared again at each
 * attempt, so any API process continues after another one, wherever it stopped, and a runtime that has lost its adapters gets them again.
 * `close` interrupts running requests.
 */
export function startDeploySender(
  services: DeployServices,
  overrides: Partial<DeployTimes> = {},
): { close(): Promise<void> } {
  const times = { ...defaults, ...overrides };
  const { log } = services;
  const egress = createEgress(deployRules(services.env), times);
  const closing = new AbortController();
  const loop = startSending<ClaimedTarget>('deploy targets', times, log, {
    claim: async (count) => await claimTargets(services, { ...times, count }),
    send: async (claimed, claimedAt) => {
      const deadline = claimedAt + times.leaseSeconds * 500;
      await withTeamScope(claimed.teamId, async () => {
        try {
          await reconcile(services, claimed, { times, egress, deadline, signal: closing.signal });
        } catch (error) {
          if (!(error instanceof RuntimeFault)) throw error;
          // This process itself interrupted it: another one may retry immediately.
          if (closing.signal.aborted) return await release(services, claimed, 0);
          const seconds = await recordFault(services, claimed, error, times);
          const { teamId, id: target } = claimed;
          log.warn({ teamId, target, reason: error.kind, seconds }, 'a deploy target is not at its version');
        }
      });
    },
    onFault: (err, { teamId, id: target }) => log.warn({ err, teamId, target }, 'deploying failed'),
  });
  return {
    close: async () => {
      closing.abort();
      await loop.stop();
    },
  };
}
