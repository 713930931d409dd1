/**
 * Counters and measurements of this process, in one registry. Names and units follow Prometheus' conventions: seconds, bytes, `_total` for
 * counters. Each label has few known values, never an id: `graft jobs explain`, events and traces show what a single team or job does.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

export const registry = new Registry();

const registers = [registry];

/** Buckets from 1 s to 9 h, about four times as long each: how long a job waits, runs or recovers. */
const jobSeconds = [1, 4, 15, 60, 240, 900, 3600, 14_400, 32_400];
const shortSeconds = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 240];

function counter<L extends string = never>(name: string, help: string, labelNames: L[] = []): Counter<L> {
  const made = new Counter({ name, help, labelNames, registers });
  // A counter without labels starts at 0: a series that starts at its first event has no rate there.
  if (labelNames.length === 0) made.inc(0);
  return made;
}

function histogram<L extends string = never>(
  name: string,
  help: string,
  buckets: number[],
  labelNames: L[] = [],
): Histogram<L> {
  return new Histogram({ name, help, buckets, labelNames, registers });
}

export function gauge<L extends string = never>(name: string, help: string, labelNames: L[] = []): Gauge<L> {
  return new Gauge({ name, help, labelNames, registers });
}

/** Gauge by `gpu`: the index of a GPU in its worker's list, from 0. */
const gpuGauge = (name: string, help: string): Gauge<'gpu'> => gauge(name, help, ['gpu']);

export const instruments = {
  httpSeconds: histogram(
    'graft_http_request_duration_seconds',
    'Requests of the API from their headers to the last byte of the answer.',
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    ['method', 'route', 'status'],
  ),
  overload: counter(
    'graft_overload_total',
    'Requests refused with 503 because the API lacked something: a turn, a row that another request held, time for a statement, the database, a thread, or memory and files.',
    ['reason'],
  ),
  queueWaitSeconds: histogram(
    'graft_job_queue_wait_seconds',
    'From when a job could run to when a worker claimed it.',
    jobSeconds,
  ),
  validationSeconds: histogram(
    'graft_job_validation_seconds',
    'Reading and checking the files of one job.',
    shortSeconds,
    ['outcome'],
  ),
  attempts: counter(
    'graft_job_attempts_total',
    'Attempts to train a job that this worker has ended, by what became of the job.',
    ['outcome'],
  ),
  attemptSeconds: histogram('graft_job_attempt_seconds', 'From claim to end of an attempt.', jobSeconds, [
    'outcome',
  ]),
  steps: counter('graft_training_steps_total', 'Training steps done.'),
  tokens: counter('graft_training_tokens_total', 'Tokens trained on.'),
  checkpoints: counter('graft_checkpoints_total', 'Checkpoints written.'),
  checkpointSeconds: histogram(
    'graft_checkpoint_seconds',
    'Writing one checkpoint until it is durable.',
    shortSeconds,
  ),
  checkpointBytes: counter('graft_checkpoint_bytes_total', 'Bytes of the checkpoints written.'),
  recoveries: counter(
    'graft_job_recoveries_total',
    'Trainings and validations that continued after a lost attempt.',
  ),
  recoverySeconds: histogram(
    'graft_job_recovery_seconds',
    "From a lost attempt's last sign of life to the next attempt's claim.",
    jobSeconds,
  ),
  lostLeases: counter('graft_leases_lost_total', 'Leases that ran out and were swept.', ['state']),
  fencedWrites: counter('graft_leases_fenced_total', 'Attempts of this worker that found their lease lost.'),
  environmentFaults: counter(
    'graft_environment_faults_total',
    'Faults of this machine that the worker has found; three in a row quarantine it.',
  ),
  gpuUsable: gpuGauge('graft_gpu_usable', '1 while a card of this worker may take jobs, 0 while it is lost.'),
  gpuMemoryUsed: gpuGauge('graft_gpu_memory_used_bytes', 'Memory of a card that any process holds.'),
  gpuMemoryTotal: gpuGauge('graft_gpu_memory_total_bytes', 'Memory that a card has.'),
  gpuUtilization: gpuGauge(
    'graft_gpu_utilization_ratio',
    'Part of the time in which something was computed on a card, 0 to 1.',
  ),
  gpuTemperature: gpuGauge('graft_gpu_temperature_celsius', 'Temperature of a card.'),
  gpuFaults: counter(
    'graft_gpu_faults_total',
    'Cards that this worker has taken out of use, by the code of why.',
    ['reason'],
  ),
  outOfMemory: counter(
    'graft_job_out_of_memory_total',
    'Trainings here that ran out of memory: tried again with fewer examples at a time, or failed.',
    ['outcome'],
  ),
  corruptions: counter(
    'graft_storage_corruptions_total',
    'Stored objects that did not match their digest and were refused.',
    ['kind'],
  ),
  exports: counter(
    'graft_exports_total',
    'Attempts to write an export that this worker has ended, by what became of the export.',
    ['outcome'],
  ),
  exportSeconds: histogram(
    'graft_export_seconds',
    'From claim to end of an attempt to write an export.',
    jobSeconds,
    ['outcome'],
  ),
  webhookAttempts: counter(
    'graft_webhook_attempts_total',
    'Webhooks sent, by whether the receiver took them.',
    ['outcome'],
  ),
  signInFailures: counter(
    'graft_sign_in_failures_total',
    'Sign-ins that failed, by the code of the answer.',
    ['reason'],
  ),
  auditExports: counter(
    'graft_audit_exports_total',
    'Entries of the audit log that the sink has stored, and batches that failed.',
    ['outcome'],
  ),
  loopFailures: counter('graft_loop_failures_total', 'Rounds of background loops that failed.', ['loop']),
};

let collecting = false;

/** Collects event-loop lag, heap, CPU and handles of this process. Only the first call has an effect. */
export function observeProcess(): void {
  if (collecting) return;
  collecting = true;
  collectDefaultMetrics({ register: registry });
}
