// Separate entry point '@graft/tf-graph/load-beside', because it does not load TensorFlow in this thread.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(import.meta.url);

/**
 * Starts loading TensorFlow's libraries in another thread, which takes half a second, beside the modules that this thread loads meanwhile.
 * A later import of '@graft/tf-graph' waits until they are loaded. The environment must not change before that, because TensorFlow reads it.
 * If TensorFlow is not built, this function does nothing, and the import reports it.
 */
export function loadBeside(): void {
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  try {
    const addon = require.resolve('@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node');
    const { folder } = JSON.parse(readFileSync(path.join(path.dirname(addon), 'graft.json'), 'utf8'));
    const beside = require(path.join(folder, 'load_beside.node'));
    beside.loadBeside(addon);
    process.once('exit', () => beside.waitLoaded());
  } catch {
    // The import reports the same error.
  }
}
