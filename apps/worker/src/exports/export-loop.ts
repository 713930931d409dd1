import { withTeamScope } from '@graft/service/database';
import { claimExport } from '@graft/service/exports';
import { repeat } from '@graft/service/repeat';
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

export interface ExportLoop {
  readonly running: number;
  /** Claims no further export; resolves when the running ones are released. */
  stop(): Promise<void>;
}

/** Interval at which a worker with a free exporter asks for an export. */
const pollMilliseconds = 1000;

/** Claims exports by polling their rows, and writes each in a free exporter. */
export function startExportLoop(options: ExportLoopOptions): ExportLoop {
  const { services, workerId, health, exporters, leaseSeconds, log } = options;
  const shutdown = new AbortController();
  const free = [...exporters];
  const running = new Set<Promise<void>>();

  async function round(): Promise<void> {
    while (free.length > 0 && health.acceptsJobs && !shutdown.signal.aborted) {
      const claimedAt = performance.now();
      const isLastOfSeveral = free.length === 1 && exporters.length > 1;
      const claimed = await claimExport(services, { workerId, leaseSeconds, isLastOfSeveral });
      if (!claimed) return;
      const { made, lease } = claimed;
      log.info({ exportId: made.id, leaseEpoch: lease.epoch, attempt: made.attempts }, 'export claimed');
      const exporter = free.pop()!;
      const run = { services, exporter, leaseSeconds, claimedAt, shutdown: shutdown.signal, log };
      const work = withTeamScope(made.teamId, async () => void (await runExport(made, lease, run))).finally(
        () => {
          free.push(exporter);
          running.delete(work);
          loop.wake();
        },
      );
      running.add(work);
    }
  }

  const loop = repeat('exports', pollMilliseconds, round, log);
  return {
    get running() {
      return running.size;
    },
    stop: async () => {
      shutdown.abort();
      await loop.stop();
      await Promise.allSettled(running);
    },
  };
}
