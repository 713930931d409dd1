import { claimExport } from '@graft/service/exports';
import { type Claiming, startClaiming } from '@graft/service/repeat';
import type { Services } from '@graft/service/services';
import type { WorkerHealth } from '../health/worker-health.ts';
import type { ExporterProcess } from './exporter-process.ts';
import { runExport } from './run-export.ts';

export interface ExportLoopOptions {
  services: Services;
  workerId: string;
  health: Pick<WorkerHealth, 'acceptsJobs'>;
  /** One for each export that this worker writes at a time. */
  exporters: readonly ExporterProcess[];
  leaseSeconds: number;
  log: Services['log'];
}

/** Interval at which a worker with a free exporter asks for an export. */
const pollMs = 1000;

/** Claims exports by polling their rows, and writes each in a free exporter. `close` resolves when the running ones are released. */
export function startExportLoop(options: ExportLoopOptions): Claiming {
  const { services, workerId, health, exporters, leaseSeconds, log } = options;
  const free = [...exporters];
  return startClaiming({
    name: 'exports',
    pollMs,
    concurrency: exporters.length,
    log,
    async claim(count) {
      if (!health.acceptsJobs) return null;
      const isLastOfSeveral = count === 1 && exporters.length > 1;
      const claimed = await claimExport(services, { workerId, leaseSeconds, isLastOfSeveral });
      return claimed && { teamId: claimed.made.teamId, ...claimed };
    },
    async work({ made, lease }, { claimedAt, closing: shutdown }) {
      log.info({ exportId: made.id, leaseEpoch: lease.epoch, attempt: made.attempts }, 'export claimed');
      const exporter = free.pop()!;
      try {
        await runExport(made, lease, { services, exporter, leaseSeconds, claimedAt, shutdown, log });
      } finally {
        free.push(exporter);
      }
    },
    onFault: (err, { made }) => log.error({ err, exportId: made.id }, 'an export was not finished'),
  });
}
