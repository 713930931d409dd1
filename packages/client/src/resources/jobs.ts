import type * as Wire from '@graft/wire/types';
import { PageList } from '../page-list.ts';
import type { Query, Transport } from '../transport.ts';
import type {
  AdapterVersion,
  AttemptPage,
  FineTuningJob,
  JobCheckpoint,
  JobCloneParams,
  JobCreateParams,
  JobEstimate,
  JobEstimateParams,
  JobEvent,
  JobListParams,
  JobLosses,
  JobMetric,
  TrialList,
} from '../types.ts';
import { AdapterDownload, type DownloadOptions } from './adapters/download.ts';
import {
  type ChangeStreamOptions,
  type EventStreamOptions,
  streamJobChanges,
  streamJobEvents,
} from './job-event-stream.ts';

export class Jobs {
  readonly #transport: Transport;
  readonly events: JobEvents;
  readonly checkpoints: JobCheckpoints;

  constructor(transport: Transport) {
    this.#transport = transport;
    this.events = new JobEvents(transport);
    this.checkpoints = new JobCheckpoints(transport);
  }

  /** A second call with the same `idempotencyKey` and parameters returns the first job; without a key every call creates a job. */
  create(
    params: JobCreateParams,
    options: { signal?: AbortSignal; idempotencyKey?: string } = {},
  ): Promise<FineTuningJob> {
    const { idempotencyKey } = options;
    return this.#transport.json({
      method: 'POST',
      path: '/fine_tuning/jobs',
      json: params,
      idempotent: true,
      headers: idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey },
      signal: options.signal,
    });
  }

  /** Returns the available options of jobs; for `model`, or for a model with an adapter, also its modules. */
  options(params: Wire.Queries['GET /v1/fine_tuning/options'] = {}): Promise<Wire.FineTuningOptions> {
    return this.#transport.json({ method: 'GET', path: '/fine_tuning/options', query: params });
  }

  /** Returns why such a job would be rejected, or else its estimate with all resolved settings; creates no job. */
  check(
    params: Partial<JobCreateParams>,
    options: { signal?: AbortSignal } = {},
  ): Promise<Wire.FineTuningCheck> {
    const path = '/fine_tuning/checks';
    return this.#transport.json({ method: 'POST', path, json: params, signal: options.signal });
  }

  /** Estimates memory, tokens, steps and time of such a job; creates no job. */
  estimate(params: JobEstimateParams, options: { signal?: AbortSignal } = {}): Promise<JobEstimate> {
    const path = '/fine_tuning/estimates';
    return this.#transport.json({ method: 'POST', path, json: params, signal: options.signal });
  }

  /** Creates a job like another one, with changes. */
  clone(
    id: string,
    changes: JobCloneParams = {},
    options: { signal?: AbortSignal; idempotencyKey?: string } = {},
  ): Promise<FineTuningJob> {
    const { idempotencyKey } = options;
    return this.#transport.json({
      method: 'POST',
      path: `${jobPath(id)}/clone`,
      json: changes,
      idempotent: true,
      headers: idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey },
      signal: options.signal,
    });
  }

  /** Lists jobs, newest first. */
  list(params: JobListParams = {}): PageList<FineTuningJob> {
    const { metadata, ...rest } = params;
    const query: Query = { ...rest };
    for (const [key, value] of Object.entries(metadata ?? {})) query[`metadata[${key}]`] = value;
    return new PageList(this.#transport, '/fine_tuning/jobs', query);
  }

  retrieve(id: string, options: { signal?: AbortSignal } = {}): Promise<FineTuningJob> {
    return this.#transport.json({ method: 'GET', path: jobPath(id), signal: options.signal });
  }

  /** Returns the parameters with which `create` would create the job again. */
  request(id: string): Promise<JobCreateParams> {
    return this.#transport.json({ method: 'GET', path: `${jobPath(id)}/request` });
  }

  /** Returns a downsampled loss curve for each of up to 100 jobs. */
  async losses(
    ids: readonly string[],
    options: { points?: number; signal?: AbortSignal } = {},
  ): Promise<JobLosses[]> {
    const { data } = await this.#transport.json<{ data: JobLosses[] }>({
      method: 'GET',
      path: '/fine_tuning/jobs/losses',
      query: { ids: ids.join(','), points: options.points },
      signal: options.signal,
    });
    return data;
  }

  /**
   * Yields every unfinished job of the team, then each job when it is created or changes, without end. Reconnects after a broken
   * connection, and then yields all unfinished jobs first. Leaving the loop closes the connection.
   */
  changes(options: ChangeStreamOptions = {}): AsyncGenerator<FineTuningJob, void, void> {
    return streamJobChanges(this.#transport, options);
  }

  /** Changes the job's priority within the team. */
  update(id: string, params: Wire.UpdateFineTuningJob): Promise<FineTuningJob> {
    return this.#transport.json({ method: 'POST', path: jobPath(id), json: params });
  }

  cancel(id: string): Promise<FineTuningJob> {
    return this.#transport.json({ method: 'POST', path: `${jobPath(id)}/cancel` });
  }

  pause(id: string): Promise<FineTuningJob> {
    return this.#transport.json({ method: 'POST', path: `${jobPath(id)}/pause` });
  }

  resume(id: string): Promise<FineTuningJob> {
    return this.#transport.json({ method: 'POST', path: `${jobPath(id)}/resume` });
  }

  /**
   * Deletes a finished job with its events, metrics and checkpoints. The adapter that it produced is kept, unless `adapters` is `delete`.
   */
  delete(id: string, options: { adapters?: 'keep' | 'delete' } = {}): Promise<Wire.DeletedFineTuningJob> {
    return this.#transport.json({
      method: 'DELETE',
      path: jobPath(id),
      query: { adapters: options.adapters },
    });
  }

  /** Returns the job's attempts, oldest first, fetched in pages, with workers and times, and what happens next. */
  async attempts(id: string): Promise<Pick<AttemptPage, 'data' | 'outlook'>> {
    const data: AttemptPage['data'] = [];
    for (let after: string | undefined; ; ) {
      const query = { limit: 1000, after };
      const path = `${jobPath(id)}/attempts`;
      const page = await this.#transport.json<AttemptPage>({ method: 'GET', path, query });
      data.push(...page.data);
      const last = page.last_id ?? undefined;
      if (!page.has_more || last === undefined || last === after) return { data, outlook: page.outlook };
      after = last;
    }
  }

  /** Returns the trials of a sweep and their progress; empty for other jobs. */
  trials(id: string): Promise<TrialList> {
    return this.#transport.json({ method: 'GET', path: `${jobPath(id)}/trials` });
  }

  /**
   * Returns the loss series, oldest first, fetched in pages; with `afterStep` only later steps. With `resolution` the server aggregates it,
   * up to `untilStep`, into at most this number of intervals, which makes a long series much smaller.
   */
  async metrics(
    id: string,
    options: { afterStep?: number; untilStep?: number; resolution?: number; signal?: AbortSignal } = {},
  ): Promise<JobMetric[]> {
    const series: JobMetric[] = [];
    for (let { afterStep } = options; ; ) {
      const page = await this.#transport.json<{ data: JobMetric[]; has_more: boolean }>({
        method: 'GET',
        path: `${jobPath(id)}/metrics`,
        query: { after_step: afterStep, until_step: options.untilStep, resolution: options.resolution },
        signal: options.signal,
      });
      series.push(...page.data);
      const last = page.data.at(-1)?.step;
      // A page that does not advance would be requested forever.
      if (!page.has_more || last === undefined || last === afterStep) return series;
      afterStep = last;
    }
  }
}

class JobEvents {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Lists events, newest first. */
  list(id: string, params: { limit?: number; after?: string } = {}): PageList<JobEvent> {
    return new PageList(this.#transport, `${jobPath(id)}/events`, params);
  }

  /**
   * Yields every event from the first, then each new one as it happens, until the job is finished. After a broken connection it resumes
   * behind the last event received. Leaving the loop closes the connection.
   */
  stream(id: string, options: EventStreamOptions = {}): AsyncGenerator<JobEvent, void, void> {
    return streamJobEvents(this.#transport, jobPath(id), options);
  }
}

class JobCheckpoints {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Lists the checkpoints whose adapter is kept and can be called; with `all` also the other steps from which training can resume. */
  list(id: string, params: { limit?: number; after?: string; all?: boolean } = {}): PageList<JobCheckpoint> {
    return new PageList(this.#transport, `${jobPath(id)}/checkpoints`, params);
  }

  /** Downloads a tar of the files of a checkpoint's adapter, in the format of Hugging Face PEFT. */
  download(id: string, checkpointId: string, options: DownloadOptions = {}): AdapterDownload {
    return new AdapterDownload(this.#transport, `${checkpointPath(id, checkpointId)}/download`, options);
  }

  /**
   * Promotes a checkpoint to the next version of the job's adapter, or of the adapter `name`. A repeated call returns the existing version.
   */
  promote(
    id: string,
    checkpointId: string,
    options: { name?: string | undefined; note?: string | undefined } = {},
  ): Promise<AdapterVersion> {
    const { name, note } = options;
    const json = { ...(name === undefined ? {} : { name }), ...(note === undefined ? {} : { note }) };
    const path = `${checkpointPath(id, checkpointId)}/promote`;
    return this.#transport.json({ method: 'POST', path, json });
  }

  /** Permanently deletes the checkpoint's adapter. */
  delete(id: string, checkpointId: string): Promise<Wire.DeletedCheckpoint> {
    return this.#transport.json({ method: 'DELETE', path: checkpointPath(id, checkpointId) });
  }
}

const checkpointPath = (id: string, checkpointId: string): string =>
  `${jobPath(id)}/checkpoints/${encodeURIComponent(checkpointId)}`;
const jobPath = (id: string): string => `/fine_tuning/jobs/${encodeURIComponent(id)}`;
