import { join } from 'node:path';
import { compilerFlags, environmentFor } from '@graft/peft-core/precision';
import type { Device, Precision } from '../devices.ts';

/**
 * What a child process may know of its parent's environment. An allow-list, because a trainer runs on users' data
 * and must not know keys, peppers, tokens or database URLs, nor those that are added later under new names.
 */
const inherited =
  /^(?:PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|XDG_CACHE_HOME|LD_LIBRARY_PATH|LD_PRELOAD|NODE_ENV|GRAFT_CACHE_DIR|GRAFT_TENSORFLOW|(?:TF|OMP|KMP|DNNL|ONEDNN|MKL|OPENBLAS|CUDA|NVIDIA|NCCL|XLA|MALLOC)_\w+)$/;

/** What a child on a GPU gets besides. */
export interface OnCard {
  /** Of the card's memory it may hold so many bytes; undefined: all. */
  bytes?: number | undefined;
  /** Where CUDA keeps code that it has compiled for this card; null: nowhere, it compiles at each start. */
  kernelCache?: string | null | undefined;
}

/** An H100's are compiled at the first start, from what TensorFlow has for cards that came later; CUDA's own limit may be 256 MiB. */
const kernelCacheBytes = 2 ** 30;

/** The environment of a child that computes on `device` in `precision`, and in `threads`, if given. It must be complete before TensorFlow loads. */
export function childEnvironment(
  device: Device,
  precision: Precision,
  threads?: number,
  from: NodeJS.ProcessEnv = process.env,
  { bytes, kernelCache }: OnCard = {},
): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = {
    // On a GPU warnings too: what TensorFlow says where it does without the card.
    TF_CPP_MIN_LOG_LEVEL: device.kind === 'gpu' ? '1' : '2',
    ...Object.fromEntries(Object.entries(from).filter(([name]) => inherited.test(name))),
    GRAFT_PARENT_PID: String(process.pid),
  };
  delete environment.TF_SET_ONEDNN_FPMATH_MODE;
  Object.assign(environment, environmentFor(precision, threads, from));
  if (device.kind === 'gpu') {
    environment.CUDA_VISIBLE_DEVICES = device.uuid;
    // Unset, TensorFlow takes the whole card at once, and a generator beside the trainer gets none.
    environment.TF_FORCE_GPU_ALLOW_GROWTH = 'true';
    // A run repeats its bits, unless the operator prefers otherwise. What scatters rows writes each once, so that the order of writing
    // changes nothing, and need not do it on the host: docs/gpu.md.
    environment.TF_DETERMINISTIC_OPS ??= '1';
    environment.TF_DISABLE_SCATTER_OP_DETERMINISM ??= '1';
    if (bytes !== undefined && device.memoryMib > 0) {
      // The addon makes them a limit of TensorFlow's allocator (LimitGpuMemory in packages/tf-graph/native/session.cc).
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
    // Empty hides every card; TensorFlow built for GPUs then computes on the CPU.
    environment.CUDA_VISIBLE_DEVICES = '';
  }
  return environment;
}
