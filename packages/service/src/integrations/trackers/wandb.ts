/**
 * Client of Weights & Biases, using the protocol of the official client: the GraphQL mutation `upsertBucket` creates or resumes a run;
 * `file_stream` receives its history as lines with an offset.
 */
import type { WandbSettings } from '@graft/wire/integration';
import type { StoredMetric } from '../../jobs/records/read-metrics.ts';
import { type AskService, bodyOf, checkSuccess } from './service-http.ts';
import { type Tracker, TrackerError, type TrackerRun, valuesOf } from './tracker.ts';

const stepMetric = 'train/global_step';

const upsertBucket = `mutation UpsertBucket($name: String, $project: String, $entity: String, $displayName: String,
  $config: JSONString, $jobType: String, $state: String, $tags: [String!]) {
  upsertBucket(input: {name: $name, modelName: $project, entityName: $entity, displayName: $displayName,
    config: $config, jobType: $jobType, state: $state, tags: $tags}) {
    bucket { id name displayName project { name entity { name } } }
    inserted
  }
}`;

interface UpsertAnswer {
  data?: {
    upsertBucket?: { bucket: { name: string; project: { name: string; entity: { name: string } } } } | null;
  } | null;
  errors?: unknown[];
}

interface WandbRun extends TrackerRun {
  entity: string;
  project: string;
  /** Start of the run, Unix seconds. */
  began: number;
  summary: Record<string, number>;
}

export function createWandbTracker(
  settings: WandbSettings,
  { jobId, url, config }: { jobId: string; url: string; config: Record<string, unknown> },
  ask: AskService,
): Tracker {
  const streamOf = ({ entity, project, id }: WandbRun) =>
    `/files/${[entity, project, id].map(encodeURIComponent).join('/')}/file_stream`;

  return {
    async open() {
      const answer = await ask({
        method: 'POST',
        path: '/graphql',
        body: {
          query: upsertBucket,
          operationName: 'UpsertBucket',
          variables: {
            // The same name refers to the same run, regardless of the sender.
            name: jobId,
            project: settings.project,
            entity: settings.entity ?? null,
            displayName: settings.name ?? jobId,
            config: JSON.stringify(wireConfig(config)),
            jobType: 'fine-tuning',
            state: 'running',
            tags: settings.tags ?? null,
          },
        },
      });
      const { data, errors } = bodyOf<UpsertAnswer>('upsertBucket', answer);
      const bucket = data?.upsertBucket?.bucket;
      if (!bucket) {
        const why = errors?.length
          ? 'it says that this key may not, or that there is no such entity'
          : 'without a run';
        throw new TrackerError('refused', `It did not make a run: ${why}.`);
      }
      const { name: project, entity } = bucket.project;
      const run: WandbRun = {
        id: bucket.name,
        url: [pageOf(url), entity.name, project, 'runs', bucket.name].join('/'),
        entity: entity.name,
        project,
        began: Date.now() / 1000,
        summary: {},
      };
      return run;
    },
    async send(kept, points, sent) {
      const run = kept as WandbRun;
      const lines = points.map((point, i) => lineOf(run, point, sent + i));
      const summary: WandbRun['summary'] = Object.assign({}, run.summary, ...lines);
      const answer = await ask({
        method: 'POST',
        path: streamOf(run),
        body: {
          files: {
            // Repeated lines overwrite existing ones with the same content.
            'wandb-history.jsonl': { offset: sent, content: lines.map((line) => JSON.stringify(line)) },
            'wandb-summary.json': { offset: 0, content: [JSON.stringify(summary)] },
          },
          complete: false,
          dropped: 0,
        },
      });
      checkSuccess('file_stream', answer);
      return { ...run, summary };
    },
    async finish(run, { state }) {
      const exitcode = state === 'succeeded' ? 0 : state === 'cancelled' ? 255 : 1;
      const body = { files: {}, complete: true, exitcode, dropped: 0 };
      const answer = await ask({ method: 'POST', path: streamOf(run as WandbRun), body });
      checkSuccess('file_stream', answer);
    },
  };
}

/** `_step` counts lines and must only grow; the training step is a metric, and the x axis of plots. */
function lineOf(run: WandbRun, point: StoredMetric, line: number): Record<string, number> {
  const time = point.createdAt.getTime() / 1000;
  return {
    ...valuesOf(point),
    [stepMetric]: point.step,
    _step: line,
    _timestamp: time,
    _runtime: Math.max(0, time - run.began),
  };
}

/** Wraps every value in `{value}`; `_wandb.m` holds the client's define_metric calls, which set the x axis of plots. */
function wireConfig(config: Record<string, unknown>): Record<string, { value: unknown }> {
  const metrics = [
    { '1': stepMetric, '6': [3] },
    { '2': 'train/*', '5': 1, '6': [1] },
    { '2': 'eval/*', '5': 1, '6': [1] },
  ];
  const wire = Object.fromEntries(Object.entries(config).map(([name, value]) => [name, { value }]));
  return { ...wire, _wandb: { value: { m: metrics } } };
}

/** Returns the URL of the web pages: the public service has another host for them than for its API. */
function pageOf(url: string): string {
  return url.replace(/^https:\/\/api\.wandb\.ai$/, 'https://wandb.ai');
}
