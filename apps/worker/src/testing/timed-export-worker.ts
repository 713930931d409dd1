/** A worker as main.ts starts it, for a fork, whose exporter is timed-exporter.ts. */
import { openServices } from '@graft/service/services';
import { loadWorkerEnv } from '../env.ts';
import { startWorker } from '../worker.ts';

const services = await openServices({ role: 'worker' });
const exporter = new URL('./timed-exporter.ts', import.meta.url);
const worker = await startWorker(services, loadWorkerEnv(), { exporter });
process.send?.({ type: 'ready', address: worker.address });
process.on('disconnect', () => process.exit(1));
process.on('SIGTERM', async () => {
  await worker.stop();
  await services.close();
  process.exit(0);
});
