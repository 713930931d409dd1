import { readdir, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { GraftError } from '@graft/peft-core/config';
import { writeServedLoss } from '@graft/peft-core/files';
import type { CodeVersion } from '@graft/service/code-version';
import { isDatabaseUnavailable } from '@graft/service/database';
import type { GpuReading, Job, TrialState } from '@graft/service/jobs';
import type { Services } from '@graft/service/services';
import { removeBelow } from '@graft/service/storage';
import type { CardReadings } from '../cards/card-readings.ts';
import type { WorkerHealth } from '../health/worker-health.ts';
import { faultOf, logFault } from '../processes/child-fault.ts';
import { CheckpointKeeper } from './checkpoints/checkpoint-keeper.ts';
import { SnapshotKeeper } from './checkpoints/snapshot-keeper.ts';
import { JobInterrupts } from './job-interrupts.ts';
import { Fenced, JobLease, type LeaseTimes } from './job-lease.ts';
import { JobObserver } from './job-observer.ts';
import { JobRecorder } from './job-recorder.ts';
import { lineageOf } from './lineage.ts';
import { type SharedCard, withWholeCard } from './memory/whole-card.ts';
import { type PreparedTraining, prepareTraining } from './prepare-training.ts';
import { type JobOutcome, JobSettlement, type Publication } from './settle-job.ts';
import type { TrainerOutcome, TrainerProcess } from './trainer-process.ts';
import type { TrainerRecord, TrainerRecordOf } from './trainer-protocol.ts';
import { type Copied, TrainerOutput } from './untrusted/trainer-output.ts';
import { type ServedBase, type VerificationMetrics, verifyEffect } from './verification/verify-effect.ts';

export interface RunOptions {
  services: Services;
  trainer: TrainerProcess;
  /** Memory limit of a trainer in bytes; undefined: unknown. */
  memoryBytes?: number | undefined;
  /** The trainer's card, where it shares the card with the generator. */
  card?: SharedCard | undefined;
  /** Readings of the cards. Absent: none. */
  readings?: Pick<CardReadings, 'of'>;
  times: LeaseTimes;
  /** Time that a trainer has for a checkpoint when it is asked to stop; then it is killed. */
  drainMilliseconds: number;
  /** `performance.now()` before the job was claimed, when its lease starts. */
  claimedAt: number;
  /** Aborted when this worker stops: the job is checkpointed and released to other workers. */
  shutdown: AbortSignal;
  /** Aborted when the time for checkpoints is over. */
  hurry: AbortSignal;
  code: CodeVersion;
  /** Decides for each fault whether this worker is to blame. */
  health: Pick<WorkerHealth, 'judge'>;
  log: Services['log'];
}

/**
 * Runs a job that was just claimed until it is over or released: trains it in the trainer's process, renews its lease, writes its rows
 * and publishes its adapter. Never throws: a fault of the worker fails the attempt.
 */
export async function runTrainingJob(job: Job, options: RunOptions): Promise<JobOutcome> {
  const { services, times } = options;
  const log = options.log.child({ jobId: job.id });
  const interrupts = new JobInterrupts(options.drainMilliseconds);
  const onShutdown = () => interrupts.interrupt('shutdown');
  options.shutdown.addEventListener('abort', onShutdown);
  if (options.shutdown.aborted) onShutdown();
  const onHurry = () => interrupts.killNow();
  options.hurry.addEventListener('abort', onHurry);
  const lease = new JobLease(services, job, times, log, {
    requestedAt: options.claimedAt,
    interrupt: (reason) => interrupts.interrupt(reason),
    renewed: (deadline) => options.trainer.holdUntil(deadline),
  });
  let recorder: JobRecorder | undefined;
  const observer = new JobObserver(job, times);
  const settlement = new JobSettlement(services, lease, times, {
    health: options.health,
    slot: options.trainer,
  });
  let staging: string | null = null;
  let outcome: JobOutcome;
  try {
    staging = await services.artifacts.stage(job.id, job.leaseEpoch, job.leaseToken);
    await removeLostStaging(staging, job);
    const output = new TrainerOutput(services.env.dataDir, staging);
    const keeper = new CheckpointKeeper(lease, services, log, {
      leaving: interrupts.leaving,
      lost: interrupts.lost,
      output,
    });
    recorder = new JobRecorder(lease, keeper, () => interrupts.killNow());
    recorder.readGpu = () => gpuReading(options);
    const parts = { interrupts, lease, recorder, keeper, observer, log };
    const work = async () => await attempt(job, output, parts, options);
    const { end, publish } = await withWholeCard(job, options.trainer, options.card, work);
    if (lease.fenced) throw new Fenced();
    if (end.type === 'failed') logFault('training failed', end.fault, log);
    if (interrupts.why === 'cancel') await recorder.close();
    else await recorder.flush();
    const publication = end.type === 'finished' && interrupts.why !== 'cancel' ? await publish() : null;
    // Before the last write, so that no files remain once clients see that the job is over.
    await removeStaging(staging);
    outcome = await settlement.settle(end, interrupts.why, publication);
  } catch (error) {
    if (staging) await removeStaging(staging).catch(() => {});
    outcome = await settleFault(settlement, error, log);
  } finally {
    interrupts.close();
    options.shutdown.removeEventListener('abort', onShutdown);
    options.hurry.removeEventListener('abort', onHurry);
    await recorder?.close();
    await lease.stop();
    options.trainer.holdUntil(Number.POSITIVE_INFINITY);
  }
  observer.end(outcome);
  log.info({ reason: interrupts.why, attempt: job.attempts }, `job left: ${outcome}`);
  return outcome;
}

function gpuReading({ trainer: { device }, readings }: RunOptions): GpuReading | null {
  const reading = readings?.of(device);
  return reading && device.kind === 'gpu' ? { model: device.name, ...reading } : null;
}

async function attempt(
  job: Job,
  output: TrainerOutput,
  {
    interrupts,
    lease,
    recorder,
    keeper,
    observer,
    log,
  }: {
    interrupts: JobInterrupts;
    lease: JobLease;
    recorder: JobRecorder;
    keeper: CheckpointKeeper;
    observer: JobObserver;
    log: Services['log'];
  },
  options: RunOptions,
): Promise<{ end: TrainerOutcome; publish: () => Promise<Publication> }> {
  const { services, trainer, code } = options;
  const { device } = trainer;
  const none = () => Promise.reject(new Error('There is nothing to publish.'));
  let prepared: PreparedTraining;
  try {
    const note = (message: string) => recorder.note(message);
    const checkpoints = await keeper.forTrainer();
    const given = { services, device, checkpoints, note, signal: interrupts.stop };
    prepared = await prepareTraining(job, output.folders, given);
    await output.expect({ weightFiles: prepared.base.weightFiles, trials: prepared.trials.length });
  } catch (error) {
    // An interrupted download throws as well: then the reason for the interruption decides.
    if (interrupts.why) return { end: { type: 'killed' }, publish: none };
    throw error;
  }
  if (interrupts.why) return { end: { type: 'stopped' }, publish: none };
  let trials: readonly TrialState[] = [];
  const lineage = (trial?: number) =>
    lineageOf(job, prepared, { code, device, sweep: trial === undefined ? undefined : { trial, trials } });
  recorder.snapshots = new SnapshotKeeper(lease, services, log, {
    lineage: () => lineage(),
    output,
    leaving: interrupts.leaving,
  });

  let done: TrainerRecordOf<'done'> | undefined;
  let adapter: Copied | undefined;
  let adapterFault: unknown;
  let verification: VerificationMetrics | null = null;
  let quantised: ServedBase | null = null;
  let parameters: { trainable: number; total: number } | undefined;
  const run = {
    team: job.teamId,
    maxSteps: prepared.maxSteps,
    stop: interrupts.stop,
    kill: interrupts.kill,
    onRecord: async (record: TrainerRecord) => {
      if (record.type === 'done') done = record;
      if (record.type === 'trials') trials = record.trials;
      if (record.type === 'start') {
        parameters = { trainable: record.trainableParameters, total: record.totalParameters };
      }
      observer.record(record);
      await recorder.record(record);
      if (record.type !== 'done' || interrupts.why === 'cancel') return;
      adapter = await output.adapter(record.winner?.trial ?? null).catch((error) => {
        adapterFault = error;
        return undefined;
      });
    },
    room: () => recorder.room(),
  };
  let end = await trainer.run(prepared.request, run);
  if (adapterFault !== undefined) {
    // The trainer can no longer be trusted.
    await trainer.close();
    throw adapterFault;
  }
  if (end.type === 'finished' && done && adapter && interrupts.why !== 'cancel') {
    const verified = await verifyEffect(trainer, prepared.request, done, adapter.folder, {
      interrupts,
      team: job.teamId,
      memoryBytes: options.memoryBytes,
    });
    end = verified.end;
    verification = verified.metrics;
    quantised = verified.quantised;
    if (quantised && verification) {
      const { live_loss: live, served_loss: served = null, measured_on: of } = verification;
      recorder.measured(quantised.base_dtype, live, { served, of });
      if (served !== null && of === 'validation' && Number.isFinite(served))
        await writeServedLoss(adapter.folder, served);
    }
    if (verified.warning) recorder.warn('adapter_without_effect', verified.warning);
  }
  const publish = async (): Promise<Publication> => {
    if (!done || !adapter) throw new Error('The trainer finished without a result.');
    const { steps, trainedTokens, finalLoss, validationLoss, peakMemoryBytes, metrics } = done;
    const { winner } = done;
    if (winner) parameters = { trainable: winner.trainableParameters, total: winner.totalParameters };
    return {
      ...(await services.artifacts.publish(adapter.folder)),
      lineage: await lineage(winner?.trial),
      // Clients see this object unchanged, so it has the names of the API.
      metrics: {
        steps,
        final_loss: finalLoss,
        ...validationFigures(validationLoss, metrics, quantised),
        peak_memory_bytes: peakMemoryBytes,
        parameters,
        proof: verification,
      },
      trainedTokens,
      trainingEnd: endOf(done),
      ...(winner && { winner: prepared.trials[winner.trial - 1]! }),
    };
  };
  return { end, publish };
}

/** Validation metrics on the base as served. For an adapter trained on a quantised base, also those on the quantised base. */
function validationFigures(
  loss: number | null,
  metrics: Record<string, number>,
  quantised: ServedBase | null,
): Record<string, unknown> {
  if (!quantised || loss === null) return { validation_loss: loss, validation: metrics };
  const { base_dtype, served } = quantised;
  return {
    validation_loss: served ? served.loss : loss,
    validation: served ? served.metrics : metrics,
    validation_base: served ? 'served' : base_dtype,
    quantised_validation_loss: loss,
    quantised_validation: metrics,
  };
}

function endOf({ steps: step, ...done }: TrainerRecordOf<'done'>): NonNullable<Publication['trainingEnd']> {
  const { totalSteps, publishedStep, best, evaluationsWithoutGain } = done;
  const reason = step < totalSteps ? 'early_stopping' : 'completed';
  return { step, totalSteps, reason, publishedStep, best, evaluationsWithoutGain };
}

async function settleFault(
  settlement: JobSettlement,
  error: unknown,
  log: Services['log'],
): Promise<JobOutcome> {
  if (error instanceof Fenced) return 'fenced';
  // A failed read outside the lease is not the job's fault. A GraftError is excluded: its cause may be a connection error of a bucket or
  // the Hub, and the job would be requeued immediately, again and again.
  if (!(error instanceof GraftError) && isDatabaseUnavailable(error))
    return await settlement
      .release({ reason: 'The database was unavailable' })
      .catch(() => 'fenced' as const);
  log.error({ err: error }, 'job failed in the worker');
  try {
    const internal = { code: 'internal_error', message: 'The service had an internal error.' };
    return await settlement.fail(faultOf(error, internal));
  } catch (again) {
    if (!(again instanceof Fenced)) log.error({ err: again }, 'job could not be failed');
    // The lease expires, and the sweeper decides about the job.
    return 'fenced';
  }
}

/** Removes staging folders of earlier attempts whose worker died, but not of later ones: this worker may have been frozen. */
async function removeLostStaging(folder: string, { leaseEpoch }: Job): Promise<void> {
  const jobFolder = dirname(dirname(folder));
  for (const epoch of await readdir(jobFolder)) {
    if (Number(epoch) < leaseEpoch) await removeBelow(jobFolder, join(jobFolder, epoch));
  }
}

/** Removes `staging/<job>/<epoch>/<token>` and its parent folders that are then empty. */
async function removeStaging(folder: string): Promise<void> {
  const epochFolder = dirname(folder);
  const jobFolder = dirname(epochFolder);
  // The trainer may still write to this folder.
  await removeBelow(jobFolder, folder);
  for (const above of [epochFolder, jobFolder]) await rmdir(above).catch(() => {});
}
