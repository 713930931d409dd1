import {
  checkOwnDataFolder,
  dataFolder,
  isDatabaseAway,
  probeDataFolder,
  type Services,
} from '@graft/service';
import { type Device, findDevices } from '../devices.ts';
import type { ChildFault } from '../processes/child-fault.ts';
import { canReach, type Sandbox } from '../processes/confinement.ts';
import type { TrainerProcess } from '../training/trainer-process.ts';

/** Why a worker cannot work. `message` is for the operator; `plain`, without paths, for the teams whose jobs go elsewhere. */
export class Unfit extends Error {
  readonly plain: string;

  constructor(plain: string, message: string) {
    super(message);
    this.plain = plain;
  }
}

/** Resolves when it holds; throws `Unfit`, or what says that Postgres is away, which proves nothing. */
export type Proof = () => Promise<void>;

// A shared folder whose server is gone does not fail: it never answers.
const patienceMilliseconds = 30_000;
const engineMilliseconds = 180_000;

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

/** That the GPUs it was started with are still there. */
export function deviceProof(devices: Device[]): Proof {
  const planned = devices.filter((device) => device.kind === 'gpu');
  return async () => {
    if (planned.length === 0) return;
    const found = new Set((await findDevices()).map((device) => device.kind === 'gpu' && device.uuid));
    const gone = planned.filter(({ uuid }) => !found.has(uuid));
    if (gone.length === 0) return;
    throw new Unfit(
      'its GPU is not there',
      `nvidia-smi no longer lists ${gone.map(({ name, uuid }) => `${name} (${uuid})`).join(', ')}.`,
    );
  };
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

/**
 * That TensorFlow loads and computes in the child process of each slot, on its device. `onSpeed` gets the floating-point
 * operations in a second of the slowest: a job may come to any of them. It is measured as part of the proof, which takes seconds
 * while TensorFlow loads, for 0.2 s more; and not while this worker trains or answers completions, or it would be too low.
 */
export function engineProof(
  trainers: TrainerProcess[],
  computing: Parameters<TrainerProcess['prove']>[0],
  {
    isServing,
    onKernels,
    onSpeed,
  }: {
    isServing: () => boolean;
    /** Gets what each can make layers of, best first. Throws `Unfit` where that is not what the operator wants. */
    onKernels: (sets: readonly string[]) => void;
    onSpeed: (flops: number) => void;
  },
): Proof {
  return async () => {
    const speeds: number[] = [];
    const isIdle = !isServing() && !trainers.some(({ atWork }) => atWork);
    const measured = isIdle ? (flops: number) => void speeds.push(flops) : undefined;
    const found: (readonly string[])[] = [];
    const told = { onKernels: (sets: readonly string[]) => void found.push(sets), onSpeed: measured };
    await Promise.all(trainers.map(async (trainer) => await proveTrainer(trainer, computing, told)));
    for (const sets of found) onKernels(sets);
    if (speeds.length > 0) onSpeed(Math.min(...speeds));
  };
}

async function proveTrainer(
  trainer: TrainerProcess,
  computing: Parameters<TrainerProcess['prove']>[0],
  told: Parameters<TrainerProcess['prove']>[2],
): Promise<void> {
  const outcome = await trainer.prove(computing, AbortSignal.timeout(engineMilliseconds), told);
  if (outcome === null || outcome.type === 'finished') return;
  throw new Unfit(
    'its TensorFlow does not compute',
    `TensorFlow does not compute on the ${trainer.device.kind}: ${reasonOf(outcome)}`,
  );
}

function reasonOf(outcome: { type: string; fault?: ChildFault; exit?: object }): string {
  if (outcome.fault) return outcome.fault.stack ?? outcome.fault.message;
  if (outcome.exit) return `the child process ended with ${JSON.stringify(outcome.exit)}`;
  return `the child process did not answer within ${engineMilliseconds / 1000} s`;
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
