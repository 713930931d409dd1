import { isSetMetric } from '@graft/peft-core/config';
import type { Job } from '../../jobs/job.ts';
import type { StoredMetric } from '../../jobs/records/read-metrics.ts';

/** The service's id of a job's run and its web page, with further data that the tracker needs later. */
export interface TrackerRun {
  id: string;
  url: string | null;
  [more: string]: unknown;
}

/** A client of one kind of service. Each call may be repeated: repeating it changes nothing. All throw TrackerError. */
export interface Tracker {
  /** Creates the run of this job, or finds the existing one. */
  open(): Promise<TrackerRun>;
  /** Sends points that follow the first `sent` ones. Returns the run to store. */
  send(run: TrackerRun, points: readonly StoredMetric[], sent: number): Promise<TrackerRun>;
  finish(run: TrackerRun, job: Pick<Job, 'state' | 'finishedAt'>): Promise<void>;
}

/** Why a service accepted nothing, in words for the team. */
export class TrackerError extends Error {
  override readonly name = 'TrackerError';
  /** `refused`: it answered, and a retry would get the same answer; `away`: it may accept a retry. */
  readonly kind: 'refused' | 'away';
  /** Seconds that it asked to wait before a retry. */
  readonly retryAfter: number | null;

  /** `cause`: what only the operator sees. */
  constructor(
    kind: 'refused' | 'away',
    message: string,
    retryAfter: number | null = null,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.kind = kind;
    this.retryAfter = retryAfter;
  }
}

/** Returns a point's numbers under the names that Hugging Face's Trainer uses. */
export function valuesOf({
  kind,
  loss,
  tokens,
  epoch,
  trial,
  metrics,
}: StoredMetric): Record<string, number> {
  const stepNumbers = kind === 'train' ? { tokens, epoch } : {};
  const prefix = kind === 'train' ? 'train' : 'eval';
  const numbers = Object.entries({ loss, ...metrics, ...stepNumbers, trial }).filter(
    (entry): entry is [string, number] => Number.isFinite(entry[1]),
  );
  // `eval_maths_loss`, of one of several validation files, becomes `eval/maths_loss`.
  return Object.fromEntries(
    numbers.map(([name, value]) => [
      `${prefix}/${isSetMetric(name) ? name.slice('eval_'.length) : name}`,
      value,
    ]),
  );
}

/** Returns what a job trains on and how, by dotted names, without any text of a file. */
export function configOf(job: Job): Record<string, string | number | boolean> {
  const config: Record<string, string | number | boolean> = {};
  const add = (name: string, value: unknown) => {
    if (value === null || value === undefined) return;
    if (typeof value === 'object') config[name] = JSON.stringify(value);
    else config[name] = value as string | number | boolean;
  };
  add('graft_job_id', job.id);
  add('base_model', job.model);
  add('start_from', job.startFromModel);
  add('training_file', job.trainingFileId);
  add('validation_file', job.validationFileId);
  add('training_files', job.trainingFiles);
  add('validation_files', job.validationFiles);
  add('seed', job.seed);
  add('sweep', job.sweep?.grid);
  for (const [name, value] of Object.entries(job.peft)) add(`peft.${name}`, value);
  for (const [name, value] of Object.entries(job.resolvedTraining ?? job.training))
    add(`training.${name}`, value);
  return config;
}
