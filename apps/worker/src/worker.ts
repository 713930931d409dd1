import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import {
  heartbeatWorker,
  newId,
  registerWorker,
  removeWorker,
  repeat,
  type Services,
  startJobLoops,
} from '@graft/service';
import { findDevices, planSlots } from './devices.ts';
import type { WorkerEnv } from './env.ts';
import { GeneratorProcess } from './generation/generator-process.ts';
import { createInternalServer } from './generation/internal-server.ts';
import { type ShutdownStep, shutDown } from './shutdown.ts';
import { readCodeVersion } from './training/code-version.ts';
import { startLeaseLoop } from './training/lease-loop.ts';
import { TrainerProcess } from './training/trainer-process.ts';

export interface Worker {
  id: string;
  /** Where the API reaches it. */
  address: string;
  /** Stops in order; running jobs are checkpointed and released. The services stay open, for whoever opened them to close. */
  stop(): Promise<void>;
}

// A cancel must take at most two seconds. The worker learns of it after up to this long.
const pollMilliseconds = 750;
// By then it is better that the API tries another worker, or tells its client to come back.
const generatorWaitMilliseconds = 15_000;

/** Starts a worker: devices, child processes, internal server, registration, job loops, and last the leases. */
export async function startWorker(
  services: Services,
  env: WorkerEnv,
  entries = {
    trainer: entryOf('./training/trainer'),
    generator: entryOf('./generation/generator'),
  },
): Promise<Worker> {
  const { log } = services;
  const { leaseSeconds, heartbeatSeconds, workerHost, workerPort, workerUrl } = services.env;
  const id = newId('worker');
  const code = await readCodeVersion();
  const plan = planSlots(await findDevices(env.tensorflow), env.slots);
  const limits = {
    stallMilliseconds: env.stallSeconds * 1000,
    idleMilliseconds: env.idleSeconds * 1000,
    log,
  };
  const trainers = plan.trainers.map(
    (device) => new TrainerProcess({ entry: entries.trainer, device, ...limits }),
  );
  const generator = new GeneratorProcess({
    entry: entries.generator,
    device: plan.generator,
    queueLimit: env.generatorQueue,
    waitMilliseconds: generatorWaitMilliseconds,
    ...limits,
  });

  const http = createInternalServer(services, generator);
  await http.listen({ host: workerHost, port: workerPort });
  const { port } = http.server.address() as AddressInfo;
  const address = workerUrl ?? `http://${workerHost.includes(':') ? `[${workerHost}]` : workerHost}:${port}`;

  const info = { id, address, hostname: hostname(), pid: process.pid, slots: trainers.length };
  await registerWorker(services, info);
  const loops = startJobLoops(services);
  const leases = await startLeaseLoop({
    services,
    workerId: id,
    trainers,
    times: { leaseSeconds, heartbeatSeconds, pollMilliseconds },
    drainMilliseconds: env.drainSeconds * 1000,
    code,
    log,
  });
  let draining = false;
  const report = async () => {
    const status = { running: leases.running, bases: generator.bases, load: generator.load, draining };
    if (!(await heartbeatWorker(services, id, status)) && !draining) await registerWorker(services, info);
  };
  const heartbeat = repeat('worker heartbeat', heartbeatSeconds * 1000, report, log);
  log.info({ workerId: id, address, slots: trainers.length, version: code.version }, 'worker started');

  const stop = async () => {
    // First no new work is taken, then running work is released, then what others rely on is closed.
    const steps: ShutdownStep[] = [
      {
        name: 'say that no more work is taken',
        run: async () => {
          draining = true;
          await heartbeat.stop();
          await report();
        },
      },
      { name: 'checkpoint and release jobs', run: () => leases.stop() },
      { name: 'stop job loops', run: () => loops.close() },
      { name: 'end trainers', run: () => Promise.all(trainers.map((trainer) => trainer.close())) },
      { name: 'end the generator', run: () => generator.close() },
      { name: 'close the internal server', run: () => http.close() },
      { name: 'deregister', run: () => removeWorker(services, id) },
    ];
    await shutDown(steps, log);
  };
  return { id, address, stop };
}

/** The file that a child process runs: `.ts` in the source tree, `.js` when built. */
function entryOf(path: string): URL {
  const self = import.meta.url;
  return new URL(path + self.slice(self.lastIndexOf('.')), self);
}
