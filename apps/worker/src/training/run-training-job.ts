import { readdir, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { GraftError } from '@graft/peft-core/config';
import { writeServedLoss } from '@graft/peft-core/files';
import {
  type CodeVersion,
  type GpuReading,
  isDatabaseAway,
  type Job,
  removeBelow,
  type Services,
  type TrialState,
} from '@graft/service';
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
  /** What a trainer here may hold; undefined: not known. */
  memoryBytes?: number | undefined;
  /** The trainer's card, where it shares one with the generator. */
  card?: SharedCard | undefined;
  /** What is read of cards. Absent: nothing. */
  readings?: Pick<CardReadings, 'of'>;
  times: LeaseTimes;
  /** How long a trainer may take to checkpoint when it is asked to stop; then it is killed. */
  drainMilliseconds: number;
  /** `performance.now()` before the job was claimed: its lease counts from then. */
  claimedAt: number;
  /** Aborted when this worker stops: the job is checkpointed and released to the others. */
  shutdown: AbortSignal;
  /** Aborted when it has no time for checkpoints any more. */
  hurry: AbortSignal;
  code: CodeVersion;
  /** Says of each fault whether this worker is to blame. */
  health: Pick<WorkerHealth, 'judge'>;
  log: Services['log'];
}

/**
 * Runs a job that was just claimed until it is over or released: trains it in the trainer's process, keeps its lease,
 * writes its rows and publishes its adapter. Never throws: a fault of the worker fails the attempt.
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
    askedAt: options.claimedAt,
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
    // Before the last write, so that no file is left once the job is seen to be over.
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
    // An interrupted download throws, too: then the reason of the interruption decides.
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
    mostSteps: prepared.mostSteps,
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
    // Nothing that it goes on to do is to be trusted.
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
      // Shown to clients as they are, so named as on the wire.
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

/** Those of the base as it is served; beside them, of an adapter that was trained on a quantised base, what was measured there. */
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
  // A read that no lease repeats: nobody's fault. A GraftError's cause may say the same of a bucket or a Hub, and the job would
  // come back at once, for ever.
  if (!(error instanceof GraftError) && isDatabaseAway(error))
    return await settlement.release({ reason: 'The database was away' }).catch(() => 'fenced' as const);
  log.error({ err: error }, 'job failed in the worker');
  try {
    const internal = { code: 'internal_error', message: 'The service had a fault of its own.' };
    return await settlement.fail(faultOf(error, internal));
  } catch (again) {
    if (!(again instanceof Fenced)) log.error({ err: again }, 'job could not be failed');
    // Its lease runs out, and the sweeper decides what becomes of it.
    return 'fenced';
  }
}

/** Removes what earlier attempts left behind when their worker died. This one may have been frozen, and others be at work since. */
async function removeLostStaging(folder: string, { leaseEpoch }: Job): Promise<void> {
  const ofJob = dirname(dirname(folder));
  for (const epoch of await readdir(ofJob)) {
    if (Number(epoch) < leaseEpoch) await removeBelow(ofJob, join(ofJob, epoch));
  }
}

/** Removes `staging/<job>/<epoch>/<token>`, and the folders above it that are then empty. */
async function removeStaging(folder: string): Promise<void> {
  const ofEpoch = dirname(folder);
  const ofJob = dirname(ofEpoch);
  // Its trainer may still write there.
  await removeBelow(ofJob, folder);
  for (const above of [ofEpoch, ofJob]) await rmdir(above).catch(() => {});
}
