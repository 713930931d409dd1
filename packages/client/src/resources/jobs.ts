import type * as Wire from '@graft/wire/types';
import { json, Operations, request, takes, takesOptional } from '../operations.ts';
import type { JobCloneParams } from '../types.ts';
import {
  type ChangeStreamOptions,
  type EventStreamOptions,
  streamJobChanges,
  streamJobEvents,
} from './job-event-stream.ts';

/** Jobs, which train adapters. */
export class Jobs extends Operations {
  readonly create = this.keyed(
    'POST /v1/fine_tuning/jobs',
    json<Wire.FineTuningJob>,
    takes<Wire.CreateFineTuningJob>,
  );
  /** Returns the available options of jobs; for `model`, or for a model with an adapter, also its modules. */
  readonly options = this.ask('GET /v1/fine_tuning/options', json<Wire.FineTuningOptions>);
  /** Returns why such a job would be rejected, or else its estimate with all resolved settings; creates no job. */
  readonly check = this.call(
    'POST /v1/fine_tuning/checks',
    json<Wire.FineTuningCheck>,
    takes<Partial<Wire.CreateFineTuningJob>>,
  );
  /** Estimates memory, tokens, steps and time of such a job; creates no job. */
  readonly estimate = this.call(
    'POST /v1/fine_tuning/estimates',
    json<Wire.FineTuningEstimate>,
    takes<Wire.EstimateFineTuningJob>,
  );
  /** Creates a job like another one, with changes. */
  readonly clone = this.keyed(
    'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/clone',
    json<Wire.FineTuningJob>,
    takesOptional<JobCloneParams>,
  );
  /** Lists jobs, newest first. */
  readonly list = this.pages('GET /v1/fine_tuning/jobs', json<Wire.FineTuningJob>);
  readonly retrieve = this.call('GET /v1/fine_tuning/jobs/{fine_tuning_job_id}', json<Wire.FineTuningJob>);
  /** Returns the parameters with which `create` would create the job again. */
  readonly request = this.call(
    'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/request',
    json<Wire.CreateFineTuningJob>,
  );
  /** Changes the job's priority within the team. */
  readonly update = this.call(
    'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}',
    json<Wire.FineTuningJob>,
    takes<Wire.UpdateFineTuningJob>,
  );
  readonly cancel = this.call(
    'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/cancel',
    json<Wire.FineTuningJob>,
  );
  readonly pause = this.call(
    'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/pause',
    json<Wire.FineTuningJob>,
  );
  readonly resume = this.call(
    'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/resume',
    json<Wire.FineTuningJob>,
  );
  /**
   * Deletes a finished job with its events, metrics and checkpoints. The adapter that it produced is kept, unless `adapters` is `delete`.
   */
  readonly delete = this.ask(
    'DELETE /v1/fine_tuning/jobs/{fine_tuning_job_id}',
    json<Wire.DeletedFineTuningJob>,
  );
  /** Returns the trials of a sweep and their progress; empty for other jobs. */
  readonly trials = this.call(
    'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/trials',
    json<Wire.FineTuningJobTrialList>,
  );

  readonly events = {
    /** Lists events, newest first. */
    list: this.pages('GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/events', json<Wire.FineTuningJobEvent>),
    /**
     * Yields every event from the first, then each new one as it happens, until the job is finished. After a broken connection it resumes
     * behind the last event received. Leaving the loop closes the connection.
     */
    stream: (
      id: string,
      options: EventStreamOptions = {},
    ): AsyncGenerator<Wire.FineTuningJobEvent, void, void> => streamJobEvents(this.transport, id, options),
  };

  readonly checkpoints = {
    /** Lists the checkpoints whose adapter is kept and can be called; with `all` also the other steps from which training can resume. */
    list: this.pages(
      'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints',
      json<Wire.FineTuningJobCheckpoint>,
    ),
    /** Downloads a tar of the files of a checkpoint's adapter, in the format of Hugging Face PEFT. */
    download: this.archive(
      'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints/{checkpoint_id}/download',
    ),
    /**
     * Promotes a checkpoint to the next version of the job's adapter, or of the adapter `name`. A repeated call returns the existing version.
     */
    promote: this.call(
      'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints/{checkpoint_id}/promote',
      json<Wire.AdapterVersion>,
      takesOptional<{ name?: string | undefined; note?: string | undefined }>,
    ),
    /** Permanently deletes the checkpoint's adapter. */
    delete: this.call(
      'DELETE /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints/{checkpoint_id}',
      json<Wire.DeletedCheckpoint>,
    ),
  };

  /** Returns a downsampled loss curve for each of up to 100 jobs. */
  async losses(
    ids: readonly string[],
    options: { points?: number; signal?: AbortSignal } = {},
  ): Promise<Wire.FineTuningJobLosses[]> {
    const { data } = await this.transport.json<{ data: Wire.FineTuningJobLosses[] }>({
      ...request('GET /v1/fine_tuning/jobs/losses'),
      query: { ids: ids.join(','), points: options.points },
      signal: options.signal,
    });
    return data;
  }

  /**
   * Yields every unfinished job of the team, then each job when it is created or changes, without end. Reconnects after a broken
   * connection, and then yields all unfinished jobs first. Leaving the loop closes the connection.
   */
  changes(options: ChangeStreamOptions = {}): AsyncGenerator<Wire.FineTuningJob, void, void> {
    return streamJobChanges(this.transport, options);
  }

  /** Returns the job's attempts, oldest first, fetched in pages, with workers and times, and what happens next. */
  async attempts(id: string): Promise<Pick<Wire.FineTuningJobAttemptList, 'data' | 'outlook'>> {
    const data: Wire.FineTuningJobAttemptList['data'] = [];
    for (let after: string | undefined; ; ) {
      const query = { limit: 1000, after };
      const spec = request('GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/attempts', id);
      const page = await this.transport.json<Wire.FineTuningJobAttemptList>({ ...spec, query });
      data.push(...page.data);
      const last = page.last_id ?? undefined;
      if (!page.has_more || last === undefined || last === after) return { data, outlook: page.outlook };
      after = last;
    }
  }

  /**
   * Returns the loss series, oldest first, fetched in pages; with `afterStep` only later steps. With `resolution` the server aggregates it,
   * up to `untilStep`, into at most this number of intervals, which makes a long series much smaller.
   */
  async metrics(
    id: string,
    options: { afterStep?: number; untilStep?: number; resolution?: number; signal?: AbortSignal } = {},
  ): Promise<Wire.FineTuningJobMetric[]> {
    const series: Wire.FineTuningJobMetric[] = [];
    for (let { afterStep } = options; ; ) {
      const page = await this.transport.json<{ data: Wire.FineTuningJobMetric[]; has_more: boolean }>({
        ...request('GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/metrics', id),
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
