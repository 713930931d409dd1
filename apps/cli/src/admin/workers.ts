import type { WorkerObject } from '@graft/client';
import type { Command } from 'commander';
import { bytes, timestamp } from '../draw/quantities.ts';
import { noun, type RemoteOptions, verb } from '../verb.ts';
import { listed } from './answer.ts';
import { found, overApi, wholePage } from './over-api.ts';

export function addWorkerVerbs(admin: Command): void {
  const workers = noun(admin, 'workers', 'list, quarantine, release');

  verb(workers, {
    name: 'list',
    summary: 'list the workers, and which of them are out of service',
    examples: ['graft admin workers list'],
    remote: 'operator',
  }).action(
    overApi(({ admin }) =>
      listed(
        admin.workers.list(wholePage),
        {
          WORKER: ({ id }) => id,
          HOST: ({ hostname }) => hostname,
          DEVICE: ({ device }) => device ?? '',
          MEMORY: (worker) => (worker.memory_bytes === null ? '' : bytes(worker.memory_bytes)),
          JOBS: ({ running, slots }) => `${running} of ${slots}`,
          'LAST SIGN': (worker) => timestamp(worker.heartbeat_at),
          STATE: (worker) =>
            worker.quarantined_at
              ? `out of service: ${worker.quarantine_reason}`
              : worker.draining
                ? 'stopping'
                : 'in service',
        },
        'No workers. Start one with: npm run start:worker',
      ),
    ),
  );

  verb(workers, {
    name: 'quarantine <worker>',
    summary: 'take a worker out of service: it finishes what it runs and gets no other jobs',
    examples: [
      'graft admin workers quarantine worker-… --reason "new disk"',
      'graft admin workers quarantine worker-… --reason "goes home" --drain',
    ],
    remote: 'operator',
  })
    .requiredOption('--reason <reason>', 'why, for others')
    .option('--drain', 'move its jobs to other workers, from a checkpoint, instead of finishing them')
    .action(
      overApi(async ({ admin }, { reason, drain = false }: QuarantineOptions, id: string) => ({
        value: await known(id, admin.workers.quarantine(id, reason, { drain })),
        text: `${id} gets no jobs any more.`,
      })),
    );

  verb(workers, {
    name: 'release <worker>',
    summary: 'return a worker to service, after it was repaired',
    examples: ['graft admin workers release worker-…'],
    remote: 'operator',
  }).action(
    overApi(async ({ admin }, _options: RemoteOptions, id: string) => ({
      value: await known(id, admin.workers.release(id)),
      text: `${id} gets jobs again.`,
    })),
  );
}

const known = (id: string, worker: Promise<WorkerObject>) =>
  found(worker, `There is no worker ${id}. \`graft admin workers list\` shows them.`);

interface QuarantineOptions extends RemoteOptions {
  reason: string;
  drain?: boolean;
}
