import {
  checkOwnDataFolder,
  dataFolder,
  isDatabaseAway,
  probeDataFolder,
  type Services,
} from '@graft/service';
import type { CardWatch } from '../cards/card-watch.ts';
import { Unfit } from '../faults/unfit.ts';
import { canReach, type Sandbox } from '../processes/confinement.ts';

/** Resolves when it holds; throws `Unfit`, or what says that Postgres is away, which proves nothing. */
export type Proof = () => Promise<void>;

// A shared folder whose server is gone does not fail: it never answers.
const patienceMilliseconds = 30_000;

/** That the data folder is this installation's, keeps what is written, and has room. */
export function dataFolderProof(services: Services, workerId: string): Proof {
  const { dataDir, minFreeBytes } = services.env;
  const plain = 'its data folder cannot be used';
  let underWay: Promise<void> | null = null;
  const look = async () => {
    await checkOwnDataFolder(services);
    await probeDataFolder(dataDir, { name: workerId, minFreeBytes });
  };
  return async () => {
    // A look that hangs keeps a thread of this process: there is never a second.
    underWay ??= look().finally(() => {
      underWay = null;
    });
    const silent = new Unfit(
      plain,
      `The data folder ${dataDir} did not answer within ${patienceMilliseconds / 1000} s.`,
    );
    await within(patienceMilliseconds, underWay, silent).catch((error: Error) => {
      if (isDatabaseAway(error) || error instanceof Unfit) throw error;
      throw new Unfit(plain, error.message);
    });
  };
}

/** That a GPU that it was started with is still there. One that is lost takes no job, and the others go on. */
export function deviceProof(cards: CardWatch): Proof {
  return async () => await cards.look();
}

/** That trainers of another user get to the folders that are opened to them. */
export function accessProof({ env }: Pick<Services, 'env'>, sandbox: Sandbox | null): Proof {
  const { staging } = dataFolder(env.dataDir);
  return async () => {
    if (!sandbox?.user || (await canReach(sandbox.program, sandbox.user, staging))) return;
    throw new Unfit(
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
