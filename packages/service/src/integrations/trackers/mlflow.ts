/** Client of MLflow's REST API 2.0: https://mlflow.org/docs/latest/rest-api.html */
import type { MlflowSettings } from '@graft/wire/integration';
import type { StoredMetric } from '../../jobs/records/read-metrics.ts';
import { type Answered, type Ask, type AskService, bodyOf } from './service-http.ts';
import { type Tracker, TrackerError, type TrackerRun, valuesOf } from './tracker.ts';

/** Limits of runs/log-batch. */
const most = { metrics: 1000, params: 100, paramCharacters: 500 };
/** The tag by which the run of a job is found. */
const jobTag = 'graft.job_id';

interface ExperimentAnswer {
  experiment: { experiment_id: string; lifecycle_stage?: string };
}
interface RunAnswer {
  info: { run_id: string };
}

export function createMlflowTracker(
  settings: MlflowSettings,
  { jobId, url, config }: { jobId: string; url: string; config: Record<string, unknown> },
  ask: AskService,
): Tracker {
  const call = async (method: Ask['method'], name: string, body?: object): Promise<Answered> =>
    await ask({ method, path: `/api/2.0/mlflow/${name}`, ...(body && { body }) });
  const post = async <T>(name: string, body: object): Promise<T> => {
    const answer = await call('POST', name, body);
    return bodyOf<T>(name, answer, codeOf(answer));
  };

  async function findExperiment(): Promise<string | null> {
    const name = encodeURIComponent(settings.experiment);
    const answer = await call('GET', `experiments/get-by-name?experiment_name=${name}`);
    if (answer.status === 404) {
      if (codeOf(answer) === 'RESOURCE_DOES_NOT_EXIST') return null;
      throw new TrackerError('refused', 'It answered 404: there is no MLflow server at this URL.');
    }
    const { experiment } = bodyOf<ExperimentAnswer>('experiments/get-by-name', answer, codeOf(answer));
    if (experiment.lifecycle_stage === 'deleted')
      throw new TrackerError('refused', `The experiment ${settings.experiment} was deleted there.`);
    return experiment.experiment_id;
  }

  async function openExperiment(): Promise<string> {
    const found = await findExperiment();
    if (found !== null) return found;
    const answer = await call('POST', 'experiments/create', { name: settings.experiment });
    // Another job of the team was faster.
    const made = codeOf(answer) === 'RESOURCE_ALREADY_EXISTS' ? await findExperiment() : null;
    if (made !== null) return made;
    return bodyOf<{ experiment_id: string }>('experiments/create', answer, codeOf(answer)).experiment_id;
  }

  async function findRun(experimentId: string): Promise<string | null> {
    const { runs } = await post<{ runs?: RunAnswer[] }>('runs/search', {
      experiment_ids: [experimentId],
      filter: `tags.\`${jobTag}\` = '${jobId}'`,
      max_results: 1,
    });
    return runs?.[0]?.info.run_id ?? null;
  }

  async function makeRun(experimentId: string): Promise<string> {
    const tags = {
      ...settings.tags,
      [jobTag]: jobId,
      'mlflow.source.name': 'graft',
      'mlflow.source.type': 'JOB',
    };
    const { run } = await post<{ run: RunAnswer }>('runs/create', {
      experiment_id: experimentId,
      run_name: settings.name ?? jobId,
      start_time: Date.now(),
      tags: Object.entries(tags).map(([key, value]) => ({ key, value })),
    });
    return run.info.run_id;
  }

  return {
    async open() {
      const experimentId = await openExperiment();
      const id = (await findRun(experimentId)) ?? (await makeRun(experimentId));
      const params = Object.entries(config).map(([key, value]) => ({
        key,
        value: String(value).slice(0, most.paramCharacters),
      }));
      // Logging the same value again changes nothing.
      for (const part of parts(params, most.params))
        await post('runs/log-batch', { run_id: id, params: part });
      return { id, url: `${url}/#/experiments/${experimentId}/runs/${id}` };
    },
    async send(run, points) {
      // MLflow drops repeated metrics of equal time, step and value.
      for (const part of parts(points.flatMap(metricsOf), most.metrics))
        await post('runs/log-batch', { run_id: run.id, metrics: part });
      return run;
    },
    async finish({ id }: TrackerRun, { state, finishedAt }) {
      const status = state === 'succeeded' ? 'FINISHED' : state === 'cancelled' ? 'KILLED' : 'FAILED';
      const end = (finishedAt ?? new Date()).getTime();
      await post('runs/update', { run_id: id, status, end_time: end });
    },
  };
}

function metricsOf(point: StoredMetric): object[] {
  const timestamp = point.createdAt.getTime();
  return Object.entries(valuesOf(point)).map(([key, value]) => ({ key, value, timestamp, step: point.step }));
}

function codeOf({ body }: Answered): string | undefined {
  const code = (body as { error_code?: unknown } | null)?.error_code;
  return typeof code === 'string' ? code : undefined;
}

function parts<T>(items: readonly T[], size: number): T[][] {
  const found: T[][] = [];
  for (let i = 0; i < items.length; i += size) found.push(items.slice(i, i + size));
  return found;
}
