import type { Precision } from './devices.ts';
import type { SandboxMode } from './processes/confinement.ts';

/** How a card holds the base that the generator answers with. */
export type ServedBase = 'auto' | 'bf16' | 'int8' | 'nf4' | 'fp32';

/** Settings of the worker alone; those it shares with the API are in packages/service (`loadServiceEnv`). */
export interface WorkerEnv {
  /** Trainers at once, at most; undefined: one per GPU, or one on the CPU. 0: this worker only serves. */
  slots: number | undefined;
  tensorflow: 'cpu' | 'gpu' | undefined;
  /** A child process that sends nothing for this long while it works is killed. */
  stallSeconds: number;
  /** An unused child process, and the base model in its memory, is ended after this. */
  idleSeconds: number;
  /** From SIGTERM until this worker has ended: most of it is for the trainers' checkpoints. */
  drainSeconds: number;
  /** What jobs that are first run here compute with from then on; undefined: what this machine has. */
  trainerThreads: number | undefined;
  /** What one trainer may hold at most; undefined: what this machine has. */
  trainerMemoryBytes: number | undefined;
  /** Precisions that jobs may compute in here, the one for "auto" first; undefined: both, by the device. */
  trainerPrecisions: Precision[] | undefined;
  /** What jobs that are first run here are made of: a set of kernels, `stock`, or `auto` for the best that is here. */
  kernels: string;
  /** Whom trainers and generator run as, where this worker may change users: a range of ids, a name, or `uid:gid`. */
  trainerUser: string | undefined;
  /** Whether they are confined: as far as this machine can, not without all that is essential, or not at all. */
  trainerSandbox: SandboxMode;
  /** How often this worker proves that it can work. */
  proofSeconds: number;
  /** Generation requests that may wait for the generator. */
  generatorQueue: number;
  /** Sequences that the generator computes at once, how a card holds the base, and the memory of their keys and values, and of adapters of low rank. */
  generatorLimits: { rows: number; baseDtype: ServedBase; cacheBytes: number; updateBytes: number };
  /** What the generator may hold of a card that it shares with a trainer; undefined: a quarter. */
  serverCardBytes: number | undefined;
}

const variables = {
  GRAFT_WORKER_SLOTS: { pattern: /^\d{1,3}$/, form: 'a whole number up to 999', fallback: undefined },
  GRAFT_TENSORFLOW: { pattern: /^(?:cpu|gpu)$/, form: 'cpu or gpu', fallback: undefined },
  GRAFT_STALL_SECONDS: { pattern: /^[1-9]\d{0,5}$/, form: 'a number of seconds above 0', fallback: '900' },
  GRAFT_IDLE_SECONDS: { pattern: /^\d{1,6}$/, form: 'a number of seconds', fallback: '600' },
  GRAFT_DRAIN_SECONDS: { pattern: /^[1-9]\d{0,3}$/, form: 'a number of seconds above 0', fallback: '10' },
  GRAFT_TRAINER_THREADS: {
    pattern: /^[1-9]\d{0,3}$/,
    form: 'a whole number from 1 to 9999',
    fallback: undefined,
  },
  GRAFT_TRAINER_MEMORY_MB: {
    pattern: /^[1-9]\d{0,7}$/,
    form: 'a whole number of megabytes above 0',
    fallback: undefined,
  },
  GRAFT_TRAINER_PRECISIONS: {
    pattern: /^(?:fp32|bf16|fp32,bf16|bf16,fp32)$/,
    form: 'fp32, bf16, or both with a comma, the one for "auto" first',
    fallback: undefined,
  },
  GRAFT_KERNELS: {
    pattern: /^(?:auto|stock|[a-z][a-z0-9]{0,31})$/,
    form: 'auto, stock, or a set of kernels such as avx2',
    fallback: 'auto',
  },
  GRAFT_TRAINER_USER: {
    pattern: /^(?:[a-z_][\w-]{0,31}|\d{1,9}:\d{1,9}|\d{1,9}-\d{1,9})$/,
    form: 'a range of user ids such as 10001-10016, a user, or uid:gid',
    fallback: undefined,
  },
  GRAFT_TRAINER_SANDBOX: {
    pattern: /^(?:auto|required|off)$/,
    form: 'auto, required or off',
    fallback: 'auto',
  },
  GRAFT_PROOF_SECONDS: { pattern: /^[1-9]\d{0,4}$/, form: 'a number of seconds above 0', fallback: '60' },
  GRAFT_SERVER_QUEUE: { pattern: /^[1-9]\d{0,3}$/, form: 'a whole number from 1 to 9999', fallback: '64' },
  GRAFT_SERVER_BASE_DTYPE: {
    pattern: /^(?:auto|bf16|int8|nf4|fp32)$/,
    form: 'auto, bf16, int8, nf4 or fp32',
    fallback: 'auto',
  },
  GRAFT_SERVER_ROWS: {
    pattern: /^(?:[1-9]\d?|1\d\d|2[0-4]\d|25[0-6])$/,
    form: 'a whole number from 1 to 256',
    fallback: '16',
  },
  GRAFT_SERVER_CACHE_MB: {
    pattern: /^[1-9]\d{0,6}$/,
    form: 'a whole number of megabytes above 0',
    fallback: '512',
  },
  GRAFT_SERVER_GPU_MB: {
    pattern: /^[1-9]\d{0,6}$/,
    form: 'a whole number of megabytes above 0',
    fallback: undefined,
  },
  GRAFT_SERVER_ADAPTERS_MB: {
    pattern: /^[1-9]\d{0,3}$/,
    form: 'a whole number of megabytes from 1 to 9999',
    fallback: '128',
  },
} as const;

/** Reads the environment; an empty variable counts as unset. Throws one Error that names every faulty variable. */
export function loadWorkerEnv(env: NodeJS.ProcessEnv = process.env): WorkerEnv {
  const faults: string[] = [];
  const read = (name: keyof typeof variables): string | undefined => {
    const { pattern, form, fallback } = variables[name];
    const value = env[name] || fallback;
    if (value === undefined || pattern.test(value)) return value;
    faults.push(`  ${name} must be ${form}`);
    return fallback;
  };
  const slots = read('GRAFT_WORKER_SLOTS');
  const threads = read('GRAFT_TRAINER_THREADS');
  const megabytes = read('GRAFT_TRAINER_MEMORY_MB');
  const serverMegabytes = read('GRAFT_SERVER_GPU_MB');
  const loaded: WorkerEnv = {
    slots: slots === undefined ? undefined : Number(slots),
    tensorflow: read('GRAFT_TENSORFLOW') as 'cpu' | 'gpu' | undefined,
    stallSeconds: Number(read('GRAFT_STALL_SECONDS')),
    idleSeconds: Number(read('GRAFT_IDLE_SECONDS')),
    drainSeconds: Number(read('GRAFT_DRAIN_SECONDS')),
    trainerThreads: threads === undefined ? undefined : Number(threads),
    trainerMemoryBytes: megabytes === undefined ? undefined : Number(megabytes) * 1e6,
    trainerPrecisions: read('GRAFT_TRAINER_PRECISIONS')?.split(',') as Precision[] | undefined,
    kernels: read('GRAFT_KERNELS')!,
    trainerUser: read('GRAFT_TRAINER_USER'),
    trainerSandbox: read('GRAFT_TRAINER_SANDBOX') as SandboxMode,
    proofSeconds: Number(read('GRAFT_PROOF_SECONDS')),
    generatorQueue: Number(read('GRAFT_SERVER_QUEUE')),
    generatorLimits: {
      rows: Number(read('GRAFT_SERVER_ROWS')),
      baseDtype: read('GRAFT_SERVER_BASE_DTYPE') as ServedBase,
      cacheBytes: Number(read('GRAFT_SERVER_CACHE_MB')) * 1e6,
      updateBytes: Number(read('GRAFT_SERVER_ADAPTERS_MB')) * 1e6,
    },
    serverCardBytes: serverMegabytes === undefined ? undefined : Number(serverMegabytes) * 1e6,
  };
  if (faults.length > 0) throw new Error(`Faulty environment:\n${faults.join('\n')}`);
  return loaded;
}
