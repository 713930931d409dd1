import type { WorkerObject } from '@graft/client';
import type { Command } from 'commander';
import { time } from '../answer.ts';
import { bytes, optional } from '../draw/quantities.ts';
import { found, listVerb, serviceVerb } from '../remote/service-verb.ts';
import { noun } from '../verb.ts';

export function addWorkerVerbs(admin: Command): void {
  const workers = noun(admin, 'workers', 'workers: list, quarantine, release');

  listVerb(workers, ({ admin }, page) => admin.workers.list(page), {
    summary: 'list the workers and their state',
    columns: {
      WORKER: 'id',
      HOST: 'hostname',
      DEVICE: 'device',
      MEMORY: (worker) => optional(worker.memory_bytes, bytes),
      JOBS: ({ running, slots }) => `${running} of ${slots}`,
      'LAST SIGN': (worker) => time(worker.heartbeat_at),
      STATE: describeState,
    },
    empty: 'No workers. Start one with: npm run start:worker',
  });

  const quarantines = 'quarantine a worker: it finishes its running jobs and gets no others';
  const examples = ['worker-… --reason "new disk"', 'worker-… --reason "returning the machine" --drain'];
  serviceVerb(workers, 'quarantine <worker>', quarantines, ...examples)
    .requiredOption('--reason <reason>', 'reason, shown in the list of workers')
    .option('--drain', 'move its running jobs to other workers, from a checkpoint')
    .run(async ({ admin }, id: string, options: { reason: string; drain?: boolean }) => {
      const { reason, drain = false } = options;
      const value = await known(id, admin.workers.quarantine(id, reason, { drain }));
      return { value, text: `${id} is quarantined and gets no further jobs.` };
    });

  serviceVerb(workers, 'release <worker>', 'release a worker from quarantine', 'worker-…').run(
    async ({ admin }, id: string) => {
      const value = await known(id, admin.workers.release(id));
      return { value, text: `${id} gets jobs again.` };
    },
  );
}

function describeState({ quarantined_at, quarantine_reason, draining }: WorkerObject): string {
  if (quarantined_at) return `out of service: ${quarantine_reason}`;
  return draining ? 'stopping' : 'in service';
}

const known = (id: string, worker: Promise<WorkerObject>) =>
  found(worker, `There is no worker ${id}. \`graft admin workers list\` shows them.`);
