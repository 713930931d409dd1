import { join } from 'node:path';
import { compilerFlags, environmentFor } from '@graft/peft-core/precision';
import type { Device, Precision } from '../devices.ts';

/**
 * The variables that a child process inherits. An allow-list, because a trainer processes users' data and must not see keys, peppers,
 * tokens or database URLs, including any that are added later.
 */
const inherited =
  /^(?:PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|XDG_CACHE_HOME|LD_LIBRARY_PATH|LD_PRELOAD|NODE_ENV|GRAFT_CACHE_DIR|GRAFT_TENSORFLOW|(?:TF|OMP|KMP|DNNL|ONEDNN|MKL|OPENBLAS|CUDA|NVIDIA|NCCL|XLA|MALLOC)_\w+)$/;

/** Additional settings of a child on a GPU. */
export interface OnCard {
  /** Limit of card memory in bytes; undefined: the whole card. */
  bytes?: number | undefined;
  /** Folder where CUDA caches compiled code; null: compile at each start. */
  kernelCache?: string | null | undefined;
}

/** An H100's kernels are compiled at the first start, from TensorFlow's PTX for newer cards; CUDA's own limit may be 256 MiB. */
const kernelCacheBytes = 2 ** 30;

/**
 * The environment of a child that computes on `device` in `precision`, with `threads` if given. It must be complete before TensorFlow
 * loads.
 */
export function childEnvironment(
  device: Device,
  precision: Precision,
  threads?: number,
  from: NodeJS.ProcessEnv = process.env,
  { bytes, kernelCache }: OnCard = {},
): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = {
    // On a GPU also warnings, which explain why TensorFlow does not use the card.
    TF_CPP_MIN_LOG_LEVEL: device.kind === 'gpu' ? '1' : '2',
    ...Object.fromEntries(Object.entries(from).filter(([name]) => inherited.test(name))),
    GRAFT_PARENT_PID: String(process.pid),
  };
  delete environment.TF_SET_ONEDNN_FPMATH_MODE;
  Object.assign(environment, environmentFor(precision, threads, from));
  if (device.kind === 'gpu') {
    environment.CUDA_VISIBLE_DEVICES = device.uuid;
    // By default TensorFlow allocates the whole card, and a generator on the same card gets none.
    environment.TF_FORCE_GPU_ALLOW_GROWTH = 'true';
    // Runs are reproducible bit by bit, unless the operator sets this otherwise. Scatter ops write each row once, so their order does
    // not matter, and they need not run on the host: docs/gpu.md.
    environment.TF_DETERMINISTIC_OPS ??= '1';
    environment.TF_DISABLE_SCATTER_OP_DETERMINISM ??= '1';
    if (bytes !== undefined && device.memoryMib > 0) {
      // The addon sets this as a limit of TensorFlow's allocator (LimitGpuMemory in packages/tf-graph/native/session.cc).
      environment.GRAFT_GPU_MEMORY_BYTES = `${bytes}`;
      environment.GRAFT_GPU_TOTAL_BYTES = `${device.memoryMib * 2 ** 20}`;
    }
    if (kernelCache) {
      environment.CUDA_CACHE_PATH ??= kernelCache;
      environment.CUDA_CACHE_MAXSIZE ??= `${kernelCacheBytes}`;
      for (const [name, flags] of Object.entries(compilerFlags(join(kernelCache, 'xla'))))
        environment[name] = [flags, environment[name]].filter(Boolean).join(' ');
    }
  } else {
    // An empty value hides every card; TensorFlow's GPU build then computes on the CPU.
    environment.CUDA_VISIBLE_DEVICES = '';
  }
  return environment;
}
