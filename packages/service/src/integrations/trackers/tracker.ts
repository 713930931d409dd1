import type { Job } from '../../jobs/job.ts';
import type { StoredMetric } from '../../jobs/records/read-metrics.ts';

/** What a service calls a job's run, and where people see it; with what else its tracker wants to find again. */
export interface TrackerRun {
  id: string;
  url: string | null;
  [more: string]: unknown;
}

/** How one kind of service takes metrics. Each call may be repeated: the same again changes nothing. All throw TrackerError. */
export interface Tracker {
  /** Makes the run, or finds the one that was made for this job. */
  open(): Promise<TrackerRun>;
  /** Sends points behind the `sent` ones that were. Answers the run as it is to be kept. */
  send(run: TrackerRun, points: readonly StoredMetric[], sent: number): Promise<TrackerRun>;
  finish(run: TrackerRun, job: Pick<Job, 'state' | 'finishedAt'>): Promise<void>;
}

/** Why a service took nothing, in words for the team. */
export class TrackerError extends Error {
  override readonly name = 'TrackerError';
  /** `refused`: it answered, and will answer the same again; `away`: it may take it later. */
  readonly kind: 'refused' | 'away';
  /** Seconds that it asked to be left alone for. */
  readonly retryAfter: number | null;

  constructor(kind: 'refused' | 'away', message: string, retryAfter: number | null = null) {
    super(message);
    this.kind = kind;
    this.retryAfter = retryAfter;
  }
}

/** A point as numbers by the names that Hugging Face's Trainer gives them. */
export function valuesOf({
  kind,
  loss,
  tokens,
  epoch,
  trial,
  metrics,
}: StoredMetric): Record<string, number> {
  const ofStep = kind === 'train' ? { tokens, epoch } : {};
  const prefix = kind === 'train' ? 'train' : 'eval';
  const numbers = Object.entries({ loss, ...metrics, ...ofStep, trial }).filter(
    (entry): entry is [string, number] => Number.isFinite(entry[1]),
  );
  return Object.fromEntries(numbers.map(([name, value]) => [`${prefix}/${name}`, value]));
}

/** What a job trains on and how, by dotted names. No text of a file is in it. */
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
  add('seed', job.seed);
  add('sweep', job.sweep?.grid);
  for (const [name, value] of Object.entries(job.peft)) add(`peft.${name}`, value);
  for (const [name, value] of Object.entries(job.resolvedTraining ?? job.training))
    add(`training.${name}`, value);
  return config;
}
