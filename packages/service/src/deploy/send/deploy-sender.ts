import { readdir } from 'node:fs/promises';
import { runExclusive } from '../../database/run-exclusive.ts';
import { EgressError } from '../../egress/post-pinned.ts';
import { type Claims, type Closable, startClaiming, startLoops } from '../../repeat.ts';
import { giveUpTargetsSeconds } from '../../teams/delete-team.ts';
import { keepLease } from '../../work/keep-lease.ts';
import { renewWork } from '../../work/leased-work.ts';
import { RuntimeFault } from '../runtimes/runtime.ts';
import type { DeployServices, DeployTimes } from './deploy-times.ts';
import { reconcile } from './reconcile.ts';
import { removeVersions, targetFolder } from './shared-folder.ts';
import { type ClaimedTarget, claimTargets, recordFault, release, targetWork } from './target-work.ts';

const defaults: DeployTimes = {
  pollMs: 2_000,
  concurrency: 16,
  perTeam: 4,
  keptForOthers: 4,
  leaseSeconds: 60,
  attemptSeconds: 900,
  connectMs: 5_000,
  listMs: 10_000,
  // Loading reads a file of up to some gigabytes, and an unload of SGLang waits for requests that use the adapter.
  wholeMs: 180_000,
  firstSeconds: 5,
  longestSeconds: 300,
  checkSeconds: 30,
  filesSeconds: 900,
  giveUpSeconds: giveUpTargetsSeconds,
  sweepSeconds: 3600,
};

/** How long an attempt may take to end after its signal, until it is left alone. */
const graceMs = 5_000;

/**
 * Keeps each runtime at the version that its target's tag points at. What is wanted and what the runtime lists are compared again at each
 * attempt, so any API process continues after another one, wherever it stopped, and a runtime that has lost its adapters gets them again.
 * `close` interrupts running requests and copies.
 */
export function startDeploySender(services: DeployServices, overrides: Partial<DeployTimes> = {}): Closable {
  const times = { ...defaults, ...overrides };
  const { log } = services;
  const attempt: Claims<ClaimedTarget>['work'] = async (claimed, { claimedAt, closing }) => {
    const { teamId, id: target } = claimed;
    const { leaseSeconds } = times;
    const lease = keepLease(
      { claimedAt, leaseSeconds },
      async () => await renewWork(services, targetWork, claimed, { leaseSeconds }),
      (err) => log.warn({ err, teamId, target }, 'the lease of a deploy target could not be renewed'),
    );
    const late = AbortSignal.timeout(times.attemptSeconds * 1000);
    const signal = AbortSignal.any([closing, lease.lost, late]);
    try {
      const { isHeld, confirm } = lease;
      await endingWith(signal, reconcile(services, claimed, { times, isHeld, confirm, signal }));
    } catch (error) {
      if (lease.lost.aborted) return;
      // This process itself interrupted it: another one may retry immediately.
      if (closing.aborted) return await release(services, claimed, 0);
      const fault = late.aborted ? tooSlow : error instanceof RuntimeFault ? error : ownFault;
      if (fault === ownFault) log.error({ err: error, teamId, target }, 'deploying failed');
      const seconds = await recordFault(services, claimed, fault, times);
      const reason = fault.cause instanceof EgressError ? `${fault.kind}: ${fault.cause.detail}` : fault.kind;
      log.warn({ teamId, target, reason, seconds }, 'a deploy target is not at its version');
    } finally {
      lease.end();
    }
  };
  const loop = startClaiming<ClaimedTarget>({
    name: 'deploy targets',
    ...times,
    log,
    claim: (count) => claimTargets(services, { ...times, count }),
    work: attempt,
    onFault: (err, { teamId, id: target }) => log.warn({ err, teamId, target }, 'deploying failed'),
  });
  const sweeping = startLoops(services, [
    {
      name: 'deploy folder',
      seconds: times.sweepSeconds,
      work: async (_, { stopping }) => await sweepFolder(services, times, stopping),
    },
  ]);
  return { close: async () => void (await Promise.all([loop.close(), sweeping.close()])) };
}

const ownFault = new RuntimeFault(
  'away',
  'Deploying failed because of a fault in the service, for example because its storage is unavailable or the files of the version are damaged. It is tried again; if that lasts, ask the operator of this server.',
);
const tooSlow = new RuntimeFault(
  'away',
  'The attempt took too long: the shared folder or the runtime is too slow. Ask the operator of this server.',
);

/** As `work`, but rejects soon after `signal` aborts even if `work` hangs, as on a network file system whose server is unavailable. */
async function endingWith(signal: AbortSignal, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  let onAbort = () => {};
  const late = new Promise<never>((_, reject) => {
    onAbort = () => {
      timer = setTimeout(() => reject(signal.reason), graceMs);
    };
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    await Promise.race([work, late]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    clearTimeout(timer);
  }
}

/**
 * Removes from the shared folder what targets without a row have left, such as those of which a file could not be removed. Versions that no
 * runtime was seen without stay, since one may still read them: of a target whose runtime never answered, and of another Graft or a newer state of the
 * database, if the operator has let this one see their folder. Those of leftovers that the operator has dismissed go, too. One process at a time does it.
 */
export async function sweepFolder(
  services: Pick<DeployServices, 'sql' | 'db' | 'env' | 'log'>,
  { filesSeconds }: Pick<DeployTimes, 'filesSeconds'>,
  stopping: AbortSignal,
): Promise<void> {
  const root = services.env.deployFolder;
  if (root === undefined) return;
  await runExclusive(services, 'deploy-folder', async () => {
    for (const teamId of await foldersIn(root, 'team-')) {
      // Before the rows: a target has its row before it has a folder.
      const ids = await foldersIn(`${root}/${teamId}`, 'dpt-');
      if (ids.length === 0) continue;
      if (stopping.aborted) return;
      const rows = await services.db.deployTarget.findMany({ where: { teamId }, select: { id: true } });
      const known = new Set(rows.map(({ id }) => id));
      for (const id of ids.filter((each) => !known.has(each)))
        await removeVersions(targetFolder(root, { teamId, id }), {
          afterSeconds: filesSeconds,
          others: 'unknown',
        }).catch((err: unknown) =>
          services.log.warn({ err, teamId, target: id }, 'files of a removed deploy target remain'),
        );
    }
    const dismissed = await services.db.deployLeftover.findMany({
      where: { dismissedAt: { not: null } },
      select: { id: true, teamId: true },
    });
    for (const { id, teamId } of dismissed) {
      if (stopping.aborted) return;
      const folder = targetFolder(root, { teamId, id });
      const isGone = await removeVersions(folder, { afterSeconds: 0, others: 'unloaded' }).catch(() => false);
      if (isGone) await services.db.deployLeftover.deleteMany({ where: { teamId, id } });
    }
  });
}

/** Folders whose names begin with `prefix`; none if the folder cannot be read. */
async function foldersIn(folder: string, prefix: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((each) => each.isDirectory() && each.name.startsWith(prefix)).map(({ name }) => name);
}
