import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | undefined;

/**
 * Frees unreferenced host arrays. V8 does this late because its own heap is small, and the arrays would add tens of megabytes to the peak
 * memory of a training run. Takes about 20 ms.
 */
export function collectGarbage(): void {
  if (!collect) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
}
