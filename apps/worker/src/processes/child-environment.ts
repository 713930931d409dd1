import { environmentFor } from '@graft/peft-core/precision';
import type { Device, Precision } from '../devices.ts';

/**
 * What a child process may know of its parent's environment. An allow-list, because a trainer runs on users' data
 * and must not know keys, peppers, tokens or database URLs, nor those that are added later under new names.
 */
const inherited =
  /^(?:PATH|HOME|USER|LANG|LC_\w+|TZ|TMPDIR|XDG_CACHE_HOME|LD_LIBRARY_PATH|LD_PRELOAD|NODE_ENV|GRAFT_CACHE_DIR|GRAFT_TENSORFLOW|(?:TF|OMP|KMP|DNNL|ONEDNN|MKL|OPENBLAS|CUDA|NVIDIA|NCCL|XLA|MALLOC)_\w+)$/;

/** The environment of a child that computes on `device` in `precision`, and in `threads`, if given. It must be complete before TensorFlow loads. */
export function childEnvironment(
  device: Device,
  precision: Precision,
  threads?: number,
  from: NodeJS.ProcessEnv = process.env,
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
  } else {
    // Empty hides every card; TensorFlow built for GPUs then computes on the CPU.
    environment.CUDA_VISIBLE_DEVICES = '';
  }
  return environment;
}
