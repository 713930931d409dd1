// Loads no TensorFlow in this thread, so it is an entry point of its own: '@graft/tf-graph/load-beside'.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const require = createRequire(import.meta.url);

/**
 * Has a thread load TensorFlow's libraries, which takes half a second, while this one reads the programs that stand on them. An import
 * of '@graft/tf-graph' waits for what is left of that. Until then the environment must not change: TensorFlow reads it. Where
 * TensorFlow is not built nothing happens, and the import says so.
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
    // The import has the same to tell.
  }
}
