import { settingReader } from '@graft/service';
import type { Precision } from './devices.ts';
import type { SandboxMode } from './processes/confinement.ts';

/** How the generator stores the base model on a card. */
export type ServedBase = 'auto' | 'bf16' | 'int8' | 'nf4' | 'fp32';

/** Settings of the worker only. packages/service (`loadServiceEnv`) has the settings shared with the API. */
export interface WorkerEnv {
  /** Maximum number of concurrent trainers. Undefined: one per GPU, or one on the CPU. 0: this worker only generates. */
  slots: number | undefined;
  /** Maximum number of exports that are written concurrently, besides jobs. */
  exportSlots: number;
  tensorflow: 'cpu' | 'gpu' | undefined;
  /** A working child process that sends nothing for this long is killed. */
  stallSeconds: number;
  /** An unused child process is ended after this long, which frees its base model. */
  idleSeconds: number;
  /** Time from SIGTERM until the worker must have ended, mostly for the trainers' checkpoints. */
  drainSeconds: number;
  /** Threads recorded for jobs that start on this worker. Undefined: the number of cores. */
  trainerThreads: number | undefined;
  /** Memory limit of one trainer. Undefined: the machine's memory. */
  trainerMemoryBytes: number | undefined;
  /** Precisions that jobs may use here, first the one for "auto". Undefined: both, as the device supports them. */
  trainerPrecisions: Precision[] | undefined;
  /** Kernels for jobs that start on this worker: the name of a set, `stock`, or `auto` for the best available. */
  kernels: string;
  /** User that trainers and generator run as, where this worker may change users: a range of ids, a name, or `uid:gid`. */
  trainerUser: string | undefined;
  /** Confinement of trainers and generator: as far as this machine supports it, required, or none. */
  trainerSandbox: SandboxMode;
  /** Interval of the worker's health checks. */
  proofSeconds: number;
  /** Maximum number of generation requests in the generator's queue. */
  generatorQueue: number;
  /**
   * Sequences per generation step, how the base is stored, how a CPU multiplies by it, and the memory (bytes) of the KV cache and of low-rank
   * adapters.
   */
  generatorLimits: {
    rows: number;
    baseDtype: ServedBase;
    activationDtype: 'fp32' | 'int8';
    cacheBytes: number;
    updateBytes: number;
  };
  /** Memory of the generator on a card that it shares with a trainer. Undefined: a quarter. */
  serverCardBytes: number | undefined;
}

/** Reads the environment; an empty variable counts as unset. Throws one Error that names every invalid variable. */
export function loadWorkerEnv(env: NodeJS.ProcessEnv = process.env): WorkerEnv {
  const { read, faults, check } = settingReader(env);
  const loaded: WorkerEnv = {
    slots: read('GRAFT_WORKER_SLOTS'),
    exportSlots: read('GRAFT_EXPORT_SLOTS'),
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
      activationDtype: read('GRAFT_SERVER_ACTIVATION_DTYPE'),
      cacheBytes: read('GRAFT_SERVER_CACHE_MB'),
      updateBytes: read('GRAFT_SERVER_ADAPTERS_MB'),
    },
    serverCardBytes: read('GRAFT_SERVER_GPU_MB'),
  };
  const { baseDtype, activationDtype } = loaded.generatorLimits;
  if (activationDtype === 'int8' && baseDtype !== 'int8' && baseDtype !== 'nf4')
    faults.add(
      'GRAFT_SERVER_ACTIVATION_DTYPE is int8, so GRAFT_SERVER_BASE_DTYPE must be int8 or nf4: only products with such weights are of integers',
    );
  if (activationDtype === 'int8' && loaded.kernels === 'stock')
    faults.add(
      "GRAFT_SERVER_ACTIVATION_DTYPE is int8, so GRAFT_KERNELS must not be stock: TensorFlow's operations multiply in float32",
    );
  check();
  return loaded;
}
