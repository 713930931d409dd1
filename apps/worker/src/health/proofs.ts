import { dataFolder } from '@graft/service/data-folder';
import { isDatabaseUnavailable } from '@graft/service/database';
import type { Services } from '@graft/service/services';
import { checkOwnDataFolder, probeDataFolder } from '@graft/service/storage';
import type { CardWatch } from '../cards/card-watch.ts';
import { UnhealthyReason } from '../faults/unfit.ts';
import { canReach, type Sandbox } from '../processes/confinement.ts';

/** A health check. Throws `UnhealthyReason` when it fails; a Postgres connection error means that the check has no result. */
export type Proof = () => Promise<void>;

// A shared folder whose server is down does not fail: calls hang.
const patienceMilliseconds = 30_000;

/** Checks that the data folder belongs to this installation, stores what is written, and has free space. */
export function dataFolderProof(services: Services, workerId: string): Proof {
  const { dataDir, minFreeBytes } = services.env;
  const plain = 'its data folder cannot be used';
  let underWay: Promise<void> | null = null;
  const look = async () => {
    await checkOwnDataFolder(services);
    await probeDataFolder(dataDir, { name: workerId, minFreeBytes });
  };
  return async () => {
    // A hanging check blocks a thread of this process, so a second one is never started.
    underWay ??= look().finally(() => {
      underWay = null;
    });
    const silent = new UnhealthyReason(
      plain,
      `The data folder ${dataDir} did not answer within ${patienceMilliseconds / 1000} s.`,
    );
    await within(patienceMilliseconds, underWay, silent).catch((error: Error) => {
      if (isDatabaseUnavailable(error) || error instanceof UnhealthyReason) throw error;
      throw new UnhealthyReason(plain, error.message);
    });
  };
}

/** Checks that at least one GPU is still usable. A lost GPU gets no jobs while the others continue. */
export function deviceProof(cards: CardWatch): Proof {
  return async () => await cards.look();
}

/** Checks that trainers of another user can reach the folders that they need. */
export function accessCheck({ env }: Pick<Services, 'env'>, sandbox: Sandbox | null): Proof {
  const { staging } = dataFolder(env.dataDir);
  return async () => {
    if (!sandbox?.user || (await canReach(sandbox.program, sandbox.user, staging))) return;
    throw new UnhealthyReason(
      'its trainers cannot get to its data folder',
      `The trainers' user (GRAFT_TRAINER_USER) cannot get to ${staging}: let it pass through the folders above (chmod o+x).`,
    );
  };
}

async function within<T>(milliseconds: number, work: Promise<T>, late: Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late), milliseconds);
  });
  try {
    return await Promise.race([work, patience]);
  } finally {
    clearTimeout(timer);
    work.catch(() => {});
  }
}
