import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** The device kind of the installed TensorFlow build. The bootstrap writes it to graft.json beside the addon; default `cpu`. */
export function installedBuild(): 'cpu' | 'gpu' {
  try {
    const addon = createRequire(import.meta.url).resolve(
      '@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node',
    );
    const stamp = JSON.parse(readFileSync(join(dirname(addon), 'graft.json'), 'utf8')) as { device?: string };
    return stamp.device === 'gpu' ? 'gpu' : 'cpu';
  } catch {
    return 'cpu';
  }
}
