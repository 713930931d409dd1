import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { generationProtocol, isLoopback, makeCertificate } from '@graft/service/channel';
import { readCodeVersion, versionText } from '@graft/service/code-version';
import { isDatabaseUnavailable } from '@graft/service/database';
import { newId } from '@graft/service/ids';
import type { WorkerCapabilities } from '@graft/service/jobs';
import { startJobLoops } from '@graft/service/maintenance';
import { instruments } from '@graft/service/observe';
import { repeat } from '@graft/service/repeat';
import type { Services } from '@graft/service/services';
import { heartbeatWorker, registerWorker, removeWorker, type WorkerInfo } from '@graft/service/workers';
import { CardReadings } from './cards/card-readings.ts';
import { CardWatch } from './cards/card-watch.ts';
import { findDevices } from './cards/find-devices.ts';
import { shareCards } from './cards/share-card.ts';
import { planSlots } from './devices.ts';
import type { WorkerEnv } from './env.ts';
import { startExportLoop } from './exports/export-loop.ts';
import { ExporterProcess } from './exports/exporter-process.ts';
import { CardFault } from './faults/card-fault.ts';
import { GeneratorProcess } from './generation/generator-process.ts';
import { createInternalServer } from './generation/internal-server.ts';
import { capabilitiesOf, kernelsOf } from './health/capabilities.ts';
import { accessCheck, dataFolderProof, deviceProof } from './health/proofs.ts';
import { trainerMemory } from './health/trainer-memory.ts';
import { WorkerHealth } from './health/worker-health.ts';
import { planSandboxes } from './processes/plan-sandboxes.ts';
import { reachableHost } from './reachable-host.ts';
import { type ShutdownStep, shutDown } from './shutdown.ts';
import { engineProof } from './training/engine-proof.ts';
import { startLeaseLoop } from './training/lease-loop.ts';
import type { SharedCard } from './training/memory/whole-card.ts';
import { TrainerProcess } from './training/trainer-process.ts';

export interface Worker {
  id: string;
  /** The URL for the API. */
  address: string;
  /**
   * Stops in order, within the drain time; running jobs are checkpointed and released. The services stay open; the caller that opened
   * them closes them.
   */
  stop(): Promise<void>;
  /** During `stop`: running jobs are released without a new checkpoint. */
  hurry(): void;
}

// A cancel may take at most two seconds. The worker notices it after at most this long.
const pollMilliseconds = 750;
// After this time the API should try another worker, or ask its client to retry.
const generatorWaitMilliseconds = 15_000;
// Part of the drain time for checkpoints. A trainer that needs longer is killed, and its job released without a checkpoint.
const checkpointShare = 0.7;

const childEntries = {
  trainer: new URL('./training/trainer.ts', import.meta.url),
  generator: new URL('./generation/generator.ts', import.meta.url),
  exporter: new URL('./exports/exporter.ts', import.meta.url),
};

/** Starts a worker: devices, child processes, internal server, registration, job loops, and last the leases. */
export async function startWorker(
  services: Services,
  env: WorkerEnv,
  given: Partial<typeof childEntries> = {},
): Promise<Worker> {
  const { log } = services;
  const entries = { ...childEntries, ...given };
  const { leaseSeconds, heartbeatSeconds, workerHost, workerPort, workerUrl } = services.env;
  const id = newId('worker');
  const code = await readCodeVersion();
  const onFault = (fault: CardFault) => log.error({ code: fault.code }, fault.message);
  const plan = planSlots(await findDevices(env.tensorflow, { onFault }), env.workerSlots);
  const cards = new CardWatch(plan.trainers, (card, fault) => {
    const code = fault instanceof CardFault ? fault.code : 'gpu_failed';
    if (fault) instruments.gpuFaults.inc({ reason: code });
    if (fault) log.error({ gpu: card.uuid, code, reason: fault.message }, 'a GPU takes no jobs');
    else log.info({ gpu: card.uuid }, 'a GPU takes jobs again');
    heartbeat?.wake();
  });
  const sandboxes = await planSandboxes(services, id, {
    mode: env.trainerSandbox,
    user: env.trainerUser,
    trainers: plan.trainers.length,
    exporters: env.exportSlots,
  });
  const shares = shareCards(plan, env.serverGpuBytes);
  const limits = {
    cacheDir: services.env.cacheDir,
    stallMilliseconds: env.stallSeconds * 1000,
    idleMilliseconds: env.idleSeconds * 1000,
    log,
  };
  const trainers = plan.trainers.map(
    (device, slot) =>
      new TrainerProcess({
        entry: entries.trainer,
        device,
        sandbox: sandboxes.trainers[slot] ?? null,
        cardBytes: shares.trainer(device),
        ...limits,
      }),
  );
  const exporters = sandboxes.exporters.map(
    (sandbox) =>
      new ExporterProcess({ entry: entries.exporter, device: { kind: 'cpu' }, sandbox, ...limits }),
  );
  if (plan.generator.kind === 'gpu' && env.serverActivationDtype === 'int8')
    log.warn(
      'GRAFT_SERVER_ACTIVATION_DTYPE has no effect, because the generator runs on a GPU, which multiplies floats: unset it',
    );
  const generator = new GeneratorProcess({
    entry: entries.generator,
    device: plan.generator,
    limits: {
      rows: env.serverRows,
      baseDtype: env.serverBaseDtype,
      activationDtype: env.serverActivationDtype,
      cacheBytes: env.serverCacheBytes,
      updateBytes: env.serverAdaptersBytes,
      ...(shares.generator && { memoryBytes: shares.generator }),
    },
    queueLimit: env.serverQueue,
    waitMilliseconds: generatorWaitMilliseconds,
    sandbox: sandboxes.generator,
    cardBytes: shares.generator,
    ...limits,
  });
  const shared = ({ device }: TrainerProcess): SharedCard | undefined => {
    const [sharedBytes, wholeBytes] = [shares.trainer(device), shares.alone(device)];
    if (!shares.isShared(device) || sharedBytes === undefined || wholeBytes === undefined) return undefined;
    return { sharedBytes, wholeBytes, takeWhole: () => generator.yieldCard() };
  };

  const isAlone = isLoopback(workerUrl ?? `http://${reachableHost(workerHost)}`);
  const certificate = services.secrets.internalTls || isAlone ? null : makeCertificate(id);
  const http = createInternalServer({ id, certificate }, services, generator);
  await http.listen({ host: workerHost, port: workerPort });
  const { port } = http.server.address() as AddressInfo;
  const scheme = services.secrets.internalTls || certificate ? 'https' : 'http';
  const address = workerUrl ?? `${scheme}://${reachableHost(workerHost)}:${port}`;

  const capabilities = capabilitiesOf(plan.trainers.length > 0 ? plan.trainers : [plan.generator], {
    precisions: env.trainerPrecisions,
    threads: env.trainerThreads,
    memoryBytes: env.trainerMemoryBytes ?? trainerMemory(plan.trainers, shares),
    confinement: sandboxes.layers,
  });
  const info: WorkerInfo & { capabilities: WorkerCapabilities } = {
    id,
    address,
    certificate: certificate?.cert ?? null,
    hostname: hostname(),
    pid: process.pid,
    slots: trainers.length,
    capabilities,
    version: versionText(code),
    protocol: generationProtocol,
  };
  // If Postgres is unavailable, the first successful heartbeat registers the worker.
  await registerWorker(services, info).catch((error: unknown) => {
    if (!isDatabaseUnavailable(error)) throw error;
  });
  const [precision] = capabilities.precisions;
  const computing = { precision, threads: capabilities.threads };
  const health = new WorkerHealth({
    services,
    workerId: id,
    cheap: [dataFolderProof(services, id), deviceProof(cards), accessCheck(services, sandboxes.generator)],
    thorough: [
      engineProof(trainers, computing, {
        cards,
        isServing: () => generator.load > 0,
        onKernels: (sets) => {
          const kernels = kernelsOf(capabilities.device, env.kernels, sets);
          info.capabilities = { ...info.capabilities, kernels };
        },
        onSpeed: (flops) => {
          info.capabilities = { ...info.capabilities, flops: { [precision]: flops } };
          heartbeat.wake();
        },
      }),
    ],
    proofSeconds: env.proofSeconds,
    cards,
  });
  const readings = new CardReadings(cards, log);
  const loops = startJobLoops(services);
  const leases = startLeaseLoop({
    services,
    workerId: id,
    capabilities: () => info.capabilities,
    health,
    trainers,
    cards,
    shared,
    readings,
    memoryBytes: capabilities.memoryBytes,
    times: { leaseSeconds, heartbeatSeconds, pollMilliseconds },
    drainMilliseconds: env.drainSeconds * 1000 * checkpointShare,
    code,
    log,
  });
  const exports = startExportLoop({ services, workerId: id, health, exporters, leaseSeconds, log });
  let draining = false;
  const report = async () => {
    const { bases, load } = generator;
    const gpuFaults = cards.faults.map(({ fault }) => fault.message);
    const capabilities = { ...info.capabilities, ...(gpuFaults.length > 0 && { gpuFaults }) };
    const status = {
      running: leases.running,
      bases,
      load,
      draining,
      capabilities,
      slots: trainers.filter(({ device }) => !cards.faultOf(device)).length,
    };
    if ((await heartbeatWorker(services, id, status)) || draining) return;
    await registerWorker(services, info);
    health.registeredAgain();
  };
  const heartbeat = repeat('worker heartbeat', heartbeatSeconds * 1000, report, log);
  log.info({ workerId: id, address, slots: trainers.length, version: code.version }, 'worker started');

  const stop = async () => {
    // First stops accepting work and releases running work, then closes what others depend on.
    draining = true;
    const steps: ShutdownStep[] = [
      {
        name: 'report that no work is accepted, checkpoint and release jobs',
        run: async () => {
          // Even if the row cannot be written, jobs get their time for a checkpoint.
          const reported = heartbeat.stop().then(report);
          for (const ended of await Promise.allSettled([
            leases.stop(),
            exports.close(),
            health.stop(),
            reported,
          ]))
            if (ended.status === 'rejected') throw ended.reason;
        },
      },
      {
        name: 'end trainers',
        run: () => Promise.all([...trainers, ...exporters].map((child) => child.close())),
      },
      { name: 'end the generator', run: () => generator.close() },
      { name: 'remove what children saw of the data folder', run: () => sandboxes.close() },
      { name: 'close the internal server', run: () => http.close() },
      { name: 'stop job loops', run: () => Promise.all([loops.close(), readings.stop()]) },
      { name: 'deregister', run: () => removeWorker(services, id) },
    ];
    await shutDown(steps, log, env.drainSeconds * 1000);
  };
  return { id, address, stop, hurry: () => leases.hurry() };
}
