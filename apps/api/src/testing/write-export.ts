import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { claimExport, finishExport } from '@graft/service/exports';
import type { ApiBench } from './open-api-bench.ts';

/** Does what a worker does for the next export, with these files instead of a format's. Returns the export's id. */
export async function writeNextExport(
  { services }: Pick<ApiBench, 'services'>,
  files: Record<string, Buffer | string>,
  notes: string[] = [],
): Promise<string> {
  const claimed = await claimExport(services, { workerId: 'worker-test', leaseSeconds: 60 });
  if (!claimed) throw new Error('no export waits');
  const { made, lease } = claimed;
  const folder = await services.exports.stage(made.id, lease.epoch, lease.token);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  const stored = await services.exports.publish(folder);
  if (!(await finishExport(services, lease, { stored, notes }))) throw new Error('fenced');
  return made.id;
}
