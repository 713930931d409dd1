import { settingReader } from '@graft/service';
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

/** Reads the environment; an empty variable counts as unset. Throws one Error that names every faulty variable. */
export function loadWorkerEnv(env: NodeJS.ProcessEnv = process.env): WorkerEnv {
  const { read, check } = settingReader(env);
  const loaded: WorkerEnv = {
    slots: read('GRAFT_WORKER_SLOTS'),
    tensorflow: read('GRAFT_TENSORFLOW'),
    stallSeconds: read('GRAFT_STALL_SECONDS'),
    idleSeconds: read('GRAFT_IDLE_SECONDS'),
    drainSeconds: read('GRAFT_DRAIN_SECONDS'),
    trainerThreads: read('GRAFT_TRAINER_THREADS'),
    trainerMemoryBytes: read('GRAFT_TRAINER_MEMORY_MB'),
    trainerPrecisions: read('GRAFT_TRAINER_PRECISIONS')?.split(',') as Precision[] | undefined,
    kernels: read('GRAFT_KERNELS'),
    trainerUser: read('GRAFT_TRAINER_USER'),
    trainerSandbox: read('GRAFT_TRAINER_SANDBOX'),
    proofSeconds: read('GRAFT_PROOF_SECONDS'),
    generatorQueue: read('GRAFT_SERVER_QUEUE'),
    generatorLimits: {
      rows: read('GRAFT_SERVER_ROWS'),
      baseDtype: read('GRAFT_SERVER_BASE_DTYPE'),
      cacheBytes: read('GRAFT_SERVER_CACHE_MB'),
      updateBytes: read('GRAFT_SERVER_ADAPTERS_MB'),
    },
    serverCardBytes: read('GRAFT_SERVER_GPU_MB'),
  };
  check();
  return loaded;
}
