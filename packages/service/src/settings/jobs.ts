import { choice, flag, integer, matching, megabytes, port, seconds, text, url } from './kinds.ts';
import { readBy, type Setting } from './setting.ts';

export const jobSettings = {
  GRAFT_LEASE_SECONDS: {
    kind: seconds,
    default: '60',
    readBy: ['api', 'worker'],
    description:
      'A job whose worker has been silent for this long continues on another worker. At least twice `GRAFT_HEARTBEAT_SECONDS`. Use the same value on all machines, here and in the next three.',
  },
  GRAFT_HEARTBEAT_SECONDS: {
    kind: seconds,
    default: '10',
    readBy: ['api', 'worker'],
    description: 'Interval at which a worker renews the leases of its jobs.',
  },
  GRAFT_SWEEP_SECONDS: {
    kind: seconds,
    default: '10',
    readBy: ['api', 'worker'],
    description: 'Interval at which expired leases and lost queue entries are found.',
  },
  GRAFT_PREEMPT_SECONDS: {
    kind: seconds,
    default: '0',
    readBy: ['api', 'worker'],
    description:
      "When a team has waited this long without a running job, another team's job that has run for longer writes a checkpoint and returns to the queue. 0: jobs are never preempted.",
  },
  GRAFT_VALIDATION_THREADS: {
    kind: integer(1, 999),
    unset: 'one per core but one, at least 2, as far as memory allows',
    readBy: ['api', 'npm start'],
    description:
      "Files that one API process reads at a time to validate jobs. The last thread is kept for a team that has none, so that no team waits for another's large files.",
  },
  GRAFT_API_MEMORY_MB: {
    kind: megabytes(9_999_999),
    unset: 'the memory limit of the container; without one half of the memory of the machine',
    readBy: ['api', 'npm start'],
    description:
      'Memory of one API process, in MB of 1,000,000 bytes: [its threads and their heaps](deployment.md#memory-of-the-api) stay below it. With less than they need at least, the API does not start.',
  },
  GRAFT_REFUSE_UNFIT_JOBS: {
    kind: flag('1', '0'),
    default: '1',
    readBy: ['api'],
    description:
      'A job that needs more memory than any live worker has [fails after validation](jobs.md#estimates). `0`: it stays queued for a larger worker.',
  },
} as const satisfies Record<string, Setting>;

export const workerAddressSettings = readBy(['worker'], {
  GRAFT_WORKER_HOST: {
    kind: text,
    default: '127.0.0.1',
    description:
      'Address on which a worker listens for the API. With `0.0.0.0` or `::` it registers the name of its machine or container, which the API must be able to resolve.',
  },
  GRAFT_WORKER_PORT: {
    kind: port,
    default: '0',
    description: 'Port on which a worker listens for the API. 0: any free port.',
  },
  GRAFT_WORKER_URL: {
    kind: url('http', 'https'),
    unset: 'the host and port above',
    description: 'URL at which the API reaches this worker. `https://`, unless both run on the same machine.',
  },
});

export const workerSettings = readBy(['worker'], {
  GRAFT_WORKER_SLOTS: {
    kind: integer(0, 999),
    unset: 'one per GPU, or one on the CPU',
    description: 'Jobs that this worker trains at a time. 0: it only serves models.',
  },
  GRAFT_EXPORT_SLOTS: {
    kind: integer(0, 99),
    default: '1',
    description: 'Exports that this worker writes at a time, besides its jobs. 0: none.',
  },
  GRAFT_STALL_SECONDS: {
    kind: integer(1, 999_999, 'a number of seconds'),
    default: '900',
    description: 'A trainer or generator that has work and sends nothing for this long is killed.',
  },
  GRAFT_IDLE_SECONDS: {
    kind: integer(0, 999_999, 'a number of seconds'),
    default: '600',
    description: 'An unused trainer or generator, with the base model in its memory, ends after this.',
  },
  GRAFT_DRAIN_SECONDS: {
    kind: integer(1, 9_999, 'a number of seconds'),
    default: '10',
    description:
      'A worker ends within this time after SIGTERM. Trainers have 70 % of it to write a checkpoint; a job whose trainer takes longer resumes from the checkpoint before.',
  },
  GRAFT_PROOF_SECONDS: {
    kind: integer(1, 99_999, 'a number of seconds'),
    default: '60',
    description: "Interval of a worker's health checks: the data folder, free space, GPUs.",
  },
  GRAFT_TRAINER_THREADS: {
    kind: integer(1, 9_999),
    unset: 'the threads of the machine',
    description:
      'Threads of jobs whose first worker is this one. A job keeps its number, and a worker with fewer cannot continue it: use the same value where machines differ.',
  },
  GRAFT_TRAINER_MEMORY_MB: {
    kind: megabytes(99_999_999),
    unset: 'the memory of the GPU; on a CPU that of the machine or container, less a tenth or at most 1 GiB',
    description:
      "Memory of one trainer, in MB of 1,000,000 bytes, for estimates. Set it where other programs need some of the machine's memory.",
  },
  GRAFT_TRAINER_PRECISIONS: {
    kind: matching(
      /^(?:fp32|bf16|fp32,bf16|bf16,fp32)$/,
      'fp32, bf16, or both with a comma, the one for "auto" first',
    ),
    unset: 'both; `bf16` first on a GPU or a processor with instructions for it',
    description: 'Precisions that this worker trains in.',
  },
  GRAFT_KERNELS: {
    kind: matching(/^(?:auto|stock|[a-z][a-z0-9]{0,31})$/, 'auto, stock, or a set of kernels such as avx2'),
    default: 'auto',
    description:
      "Implementation of the layers. On a CPU `auto` is the best of Graft's kernels that the processor supports (`amxbf16`, `avx512bf16`, `avx512vnni`, `avx512`, `avx2`, `baseline`); on a GPU it is `xla`, which compiles TensorFlow's operations; `stock` is TensorFlow's operations as they are. A job keeps its kernels: where processors differ, name a set that all support.",
  },
  GRAFT_TRAINER_USER: {
    kind: matching(
      /^(?:[a-z_][\w-]{0,31}|\d{1,9}:\d{1,9}|\d{1,9}-\d{1,9})$/,
      'a range of user ids such as 10001-10016, a user, or uid:gid',
    ),
    unset: "a range from 61001 that this machine does not use, or the worker's own user",
    example: '10001-10064',
    description:
      'Users that [trainers and the generator](security.md#isolation-of-trainers) run as: a range, one for the generator, one for each slot and one for each export; or one user for all, by name or `uid:gid`. The worker must be root or have the capabilities CHOWN, DAC_OVERRIDE, KILL, SETGID and SETUID. Images use `10001-10064`.',
  },
  GRAFT_TRAINER_SANDBOX: {
    kind: choice('auto', 'required', 'off'),
    default: 'auto',
    description:
      'Whether trainers and the generator are isolated from the network, other processes and other files. `auto`: as far as this machine can; `required`: the worker does not start where it cannot; `off`: only the user differs.',
  },
});

export const containerSettings = readBy(['compose'], {
  GRAFT_WORKER_MEMORY: {
    kind: matching(/^[0-9]{1,9}[bkmg]?$/, 'bytes, such as 64g'),
    default: '8g',
    description:
      'Memory limit of a container of a worker: its trainer, generator and exports together. [Estimates](estimates.md) refuse jobs that need more. 0: none.',
  },
});

export const servingSettings = {
  GRAFT_GENERATION_CONFIG: {
    kind: choice('model', 'none'),
    default: 'model',
    readBy: ['api'],
    description:
      "Defaults of [sampling parameters](serving.md#sampling): `model` is the base model's generation_config.json, `none` is OpenAI's defaults.",
  },
  GRAFT_SERVER_ROWS: {
    kind: integer(1, 256),
    default: '16',
    readBy: ['worker'],
    description: "Requests that one worker's generator answers at a time.",
  },
  GRAFT_SERVER_QUEUE: {
    kind: integer(1, 9_999),
    default: '64',
    readBy: ['worker'],
    description: 'Requests that may wait for the generator.',
  },
  GRAFT_SERVER_BASE_DTYPE: {
    kind: choice('auto', 'bf16', 'int8', 'nf4', 'fp32'),
    default: 'auto',
    readBy: ['worker'],
    description:
      'Data type of the base model that answers. `auto`: bf16 on a GPU, and on a CPU where the files of the model hold bf16, which changes no answer; fp32 otherwise. int8 and nf4 take less memory and [change answers a little](serving.md#data-type-of-the-base-model).',
  },
  GRAFT_SERVER_ACTIVATION_DTYPE: {
    kind: choice('fp32', 'int8'),
    default: 'fp32',
    readBy: ['worker'],
    description:
      'On a CPU: data type of the inputs of products with the base model that answers. int8 rounds them to 8 bits and multiplies integers, which is faster and [changes answers a little](serving.md#activations-in-8-bits). It needs `GRAFT_SERVER_BASE_DTYPE` int8 or nf4, and has no effect on a GPU.',
  },
  GRAFT_SERVER_CACHE_MB: {
    kind: megabytes(9_999_999),
    default: '512',
    readBy: ['worker'],
    description:
      'Memory of the key-value cache, in MB: answers in progress and cached prefixes. A CPU takes it as it is used. One whole context always fits.',
  },
  GRAFT_SERVER_ADAPTERS_MB: {
    kind: megabytes(9_999),
    default: '128',
    readBy: ['worker'],
    description: 'Memory of low-rank adapters that answer in one batch, in MB.',
  },
  GRAFT_SERVER_GPU_MB: {
    kind: megabytes(9_999_999),
    unset: 'a quarter of the GPU',
    readBy: ['worker'],
    description:
      'Memory of the generator on a GPU that it [shares with a trainer](gpu.md#memory-of-a-gpu), in MB.',
  },
} as const satisfies Record<string, Setting>;
