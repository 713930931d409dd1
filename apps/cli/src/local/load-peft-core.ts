import { CommandError } from '../errors.ts';

type Precision = 'auto' | 'fp32' | 'bf16';

/**
 * Loads TensorFlow and the modules that depend on it. TensorFlow reads its environment only once, when it is loaded, so this function
 * determines the precision of matrix products.
 */
export async function loadPeftCore(precision: Precision): Promise<typeof import('@graft/peft-core')> {
  const { environmentFor } = await import('@graft/peft-core/precision');
  const { loadEngine } = await import('@graft/peft-core/load-engine');
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  delete process.env.TF_SET_ONEDNN_FPMATH_MODE;
  Object.assign(process.env, environmentFor(precision));
  try {
    return await loadEngine();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (
      code === 'MODULE_NOT_FOUND' ||
      code === 'ERR_DLOPEN_FAILED' ||
      /tfjs_binding|libtensorflow/.test(message)
    ) {
      throw new CommandError(
        'TensorFlow is not built for this machine yet: run `npm run tensorflow` in Graft once.',
        { cause: error },
      );
    }
    throw error;
  }
}
