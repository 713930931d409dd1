import type { JobRow } from './jobs.ts';
import type { Rig, WiredMember } from './rig.ts';

/** The worker that holds the job; undefined when no running worker does. */
export async function holderOf(rig: Rig, { worker_id: id }: JobRow): Promise<WiredMember | undefined> {
  const [worker] = await rig.postgres.query<{ pid: number }>('SELECT pid FROM workers WHERE id = $1', [id]);
  return worker && rig.workers.find(({ pid }) => pid === worker.pid);
}
