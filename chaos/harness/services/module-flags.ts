import { bundlePackages } from '../../../scripts/test/bundle-packages.ts';

/** Flags of Node for every process of a rig; the trainers and threads that it starts get them too. */
export const moduleFlags = ['--import', 'tsx'];

/** Modules of many files are bundled once for all processes: workers are started hundreds of times. */
export async function bundleModules(folder: string): Promise<void> {
  moduleFlags.push(await bundlePackages(folder));
}
