import type * as Wire from '../generated/wire.ts';
import { PageList } from '../page-list.ts';
import type { Query, Transport } from '../transport.ts';
import type { AdapterVersion } from '../wire-adapters.ts';
import type {
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
} from '../wire-objects.ts';
import { AdapterDownload, type DownloadOptions } from './adapter-download.ts';
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

  /** A second call with the same `idempotencyKey` and params answers the job of the first; without one every call has its own. */
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

  /** What a job can ask for; of `model`, or of one with an adapter on it, its modules, too. */
  options(params: Wire.Queries['GET /v1/fine_tuning/options'] = {}): Promise<Wire.FineTuningOptions> {
    return this.#transport.json({ method: 'GET', path: '/fine_tuning/options', query: params });
  }

  /** What such a job would be refused for, and else what it would come to with all that would be chosen; none is created. */
  check(
    params: Partial<JobCreateParams>,
    options: { signal?: AbortSignal } = {},
  ): Promise<Wire.FineTuningCheck> {
    const path = '/fine_tuning/checks';
    return this.#transport.json({ method: 'POST', path, json: params, signal: options.signal });
  }

  /** What such a job would come to; none is created. */
  estimate(params: JobEstimateParams, options: { signal?: AbortSignal } = {}): Promise<JobEstimate> {
    const path = '/fine_tuning/estimates';
    return this.#transport.json({ method: 'POST', path, json: params, signal: options.signal });
  }

  /** A job like another one, but for what is given. */
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

  /** Newest first. */
  list(params: JobListParams = {}): PageList<FineTuningJob> {
    const { metadata, ...rest } = params;
    const query: Query = { ...rest };
    for (const [key, value] of Object.entries(metadata ?? {})) query[`metadata[${key}]`] = value;
    return new PageList(this.#transport, '/fine_tuning/jobs', query);
  }

  retrieve(id: string, options: { signal?: AbortSignal } = {}): Promise<FineTuningJob> {
    return this.#transport.json({ method: 'GET', path: jobPath(id), signal: options.signal });
  }

  /** The request that would make the job again: what `create` takes. */
  request(id: string): Promise<JobCreateParams> {
    return this.#transport.json({ method: 'GET', path: `${jobPath(id)}/request` });
  }

  /** A few points of the loss of each of up to 100 jobs. */
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
   * Every job of the team that is not over, then each one when it is made or has changed, for as long as it is asked. Broken
   * connections are opened again, and tell of all that are not over first. Leaving the loop hangs up.
   */
  changes(options: ChangeStreamOptions = {}): AsyncGenerator<FineTuningJob, void, void> {
    return streamJobChanges(this.#transport, options);
  }

  /** Changes its priority among the team's jobs. */
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
   * Deletes a job that is over, with its events, metrics and checkpoints. The adapter that it made stays, unless `adapters` is
   * `delete`.
   */
  delete(id: string, options: { adapters?: 'keep' | 'delete' } = {}): Promise<Wire.DeletedFineTuningJob> {
    return this.#transport.json({
      method: 'DELETE',
      path: jobPath(id),
      query: { adapters: options.adapters },
    });
  }

  /** Who worked on the job from when to when, oldest first, and what happens next: one page. */
  attempts(id: string, params: { limit?: number; after?: string } = {}): Promise<AttemptPage> {
    return this.#transport.json({ method: 'GET', path: `${jobPath(id)}/attempts`, query: params });
  }

  /** What a sweep tries, and how far each has come; empty for another job. */
  trials(id: string): Promise<TrialList> {
    return this.#transport.json({ method: 'GET', path: `${jobPath(id)}/trials` });
  }

  /**
   * The loss series, oldest first, fetched page after page; only what lies behind `afterStep`, where given. `resolution`
   * lets the server sum it up, up to `untilStep`, in at most so many stretches, which of a long series is far less to fetch.
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
      // A page that does not move on would be asked for again and again.
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

  /** Newest first. */
  list(id: string, params: { limit?: number; after?: string } = {}): PageList<JobEvent> {
    return new PageList(this.#transport, `${jobPath(id)}/events`, params);
  }

  /**
   * Every event from the first on, then each new one as it happens, until the job is finished. Broken
   * connections are opened again behind the last event seen. Leaving the loop hangs up.
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

  /** Those whose adapter is kept and can be called; with `all` also the other steps that training can resume from. */
  list(id: string, params: { limit?: number; after?: string; all?: boolean } = {}): PageList<JobCheckpoint> {
    return new PageList(this.#transport, `${jobPath(id)}/checkpoints`, params);
  }

  /** A tar of the files of a checkpoint's adapter, as Hugging Face PEFT reads them. */
  download(id: string, checkpointId: string, options: DownloadOptions = {}): AdapterDownload {
    return new AdapterDownload(this.#transport, `${checkpointPath(id, checkpointId)}/download`, options);
  }

  /** Makes it the next version of the job's adapter, or of the one of this name. Asked again, it answers the version that there is. */
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

  /** Deletes its adapter for good. */
  delete(id: string, checkpointId: string): Promise<Wire.DeletedCheckpoint> {
    return this.#transport.json({ method: 'DELETE', path: checkpointPath(id, checkpointId) });
  }
}

const checkpointPath = (id: string, checkpointId: string): string =>
  `${jobPath(id)}/checkpoints/${encodeURIComponent(checkpointId)}`;
const jobPath = (id: string): string => `/fine_tuning/jobs/${encodeURIComponent(id)}`;
