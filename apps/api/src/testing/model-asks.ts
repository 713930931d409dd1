/** Requests to every route of a team about one model, for model-limits.test.ts. */
import assert from 'node:assert/strict';
import { keepCheckpoint } from './keep-checkpoint.ts';
import type { ApiBench, Caller } from './open-api-bench.ts';
import { publishAdapter } from './publish-adapter.ts';
import { runJob } from './run-job.ts';

/** Objects of one model. All have one name, which is part of every response about them. */
export interface ModelObjects {
  job: string;
  runningJob: string;
  checkpoint: string;
  adapter: string;
  model: string;
  version: string;
  export: string;
  publication: string;
  alias: string;
}

/** Creates version 1 with a tag and an alias, a deleted version 2, and a running job with a stored checkpoint. */
export async function createModelObjects(
  bench: ApiBench,
  admin: Caller,
  { name, file }: { name: string; file: string },
): Promise<ModelObjects> {
  const { version } = await publishAdapter(bench, admin, name);
  await publishAdapter(bench, admin, name);
  const adapter = `/v1/adapters/${version.adapterId}`;
  assert.equal((await admin.send('DELETE', `${adapter}/versions/2`)).status, 200);
  assert.equal((await admin.send('POST', `${adapter}/tags`, { tag: 'production', version: 1 })).status, 200);
  const aliased = await admin.send('POST', `/v1/model_aliases/gpt-${name}`, { target: version.modelName });
  assert.equal(aliased.status, 200, aliased.text);
  const made = await admin.send('POST', `${adapter}/versions/1/exports`, { format: 'peft' });
  assert.equal(made.status, 200, made.text);
  const token = { secret: 'hf_token' };
  assert.equal((await admin.send('POST', '/v1/integrations/huggingface', token)).status, 200);
  const rules = { repositories: ['org'] };
  assert.equal((await admin.send('POST', '/v1/team/publishing', rules)).status, 200);
  const repository = { repository: `org/${name}` };
  const published = await admin.send('POST', `${adapter}/versions/1/publications`, repository);
  assert.equal(published.status, 200, published.text);
  const body = { model: 'tiny', training_file: file, suffix: name, start_from: version.modelName };
  const job = (await admin.send('POST', '/v1/fine_tuning/jobs', body)).json.id;
  const checkpoint = await keepCheckpoint(bench, await runJob(bench, job), 10);
  return {
    job: version.jobId!,
    runningJob: job,
    checkpoint,
    adapter: version.adapterId,
    model: version.modelName,
    version: version.id,
    export: made.json.id,
    publication: published.json.id,
    alias: aliased.json.id,
  };
}

/** Objects that a request names besides its subject. */
interface OtherObjects {
  /** Objects of the model that the key may use. */
  mine: ModelObjects;
  /** A training file. */
  file: string;
  /** Name of the subject's adapter. */
  name: string;
}

type Ask = [path: string, body?: unknown];

export const messages = [{ role: 'user', content: 'a' }];
export const jobs = '/v1/fine_tuning/jobs';
const query = (path: string, values: Record<string, string>) => `${path}?${new URLSearchParams(values)}`;
const webhook = '/v1/webhooks/{webhook_id}';
const target = '/v1/deploy_targets/{target_id}';
const exportsOf = (adapter: string) => `/v1/adapters/${adapter}/versions/1/exports`;
const publicationsOf = (adapter: string) => `/v1/adapters/${adapter}/versions/1/publications`;

/** Bodies that start a job of another model, or add a version to one. `at`: path of a route that accepts a job request. */
const starts = (at: string, of: ModelObjects, { mine, file, name }: OtherObjects): Ask[] => [
  [at, { training_file: file, suffix: 'poet', model: of.model }],
  [at, { training_file: file, suffix: 'poet', model: of.alias }],
  [at, { training_file: file, suffix: 'poet', model: 'tiny', start_from: of.model }],
  [at, { training_file: file, suffix: 'poet', model: 'tiny', start_from: of.version }],
  [at, { training_file: file, model: mine.model, suffix: name }],
];

/** Requests about `of`, named `name`, by route. Ordered so that each finds its subject. */
export const asks: Record<string, (of: ModelObjects, beside: OtherObjects) => Ask[]> = {
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}': (of) => [
    [`${jobs}/${of.job}`],
    [`${jobs}/${of.runningJob}`],
  ],
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/request': (of) => [[`${jobs}/${of.job}/request`]],
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/events': (of) => [
    [`${jobs}/${of.job}/events`],
    [`${jobs}/${of.job}/events?stream=true`],
  ],
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/attempts': (of) => [[`${jobs}/${of.job}/attempts`]],
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/trials': (of) => [[`${jobs}/${of.job}/trials`]],
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints': (of) => [
    [`${jobs}/${of.runningJob}/checkpoints`],
  ],
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/metrics': (of) => [[`${jobs}/${of.job}/metrics`]],
  'GET /v1/fine_tuning/jobs/losses': (of, { mine }) => [
    [`${jobs}/losses?ids=${of.job}`],
    [`${jobs}/losses?ids=${mine.job},${of.job}`],
  ],
  'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}': (of) => [
    [`${jobs}/${of.runningJob}`, { priority: 'low' }],
  ],
  'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/pause': (of) => [[`${jobs}/${of.runningJob}/pause`]],
  'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/resume': (of) => [[`${jobs}/${of.runningJob}/resume`]],
  'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/clone': (of, { mine, name }) => [
    [`${jobs}/${of.runningJob}/clone`, {}],
    [`${jobs}/${mine.runningJob}/clone`, { model: of.model }],
    [`${jobs}/${mine.runningJob}/clone`, { start_from: of.version }],
    [`${jobs}/${mine.runningJob}/clone`, { suffix: name }],
  ],
  'POST /v1/fine_tuning/jobs': (of, beside) => starts(jobs, of, beside),
  'POST /v1/fine_tuning/checks': (of, beside) => starts('/v1/fine_tuning/checks', of, beside),
  'POST /v1/fine_tuning/estimates': ({ model, version }, { file }) => [
    ['/v1/fine_tuning/estimates', { training_file: file, model }],
    ['/v1/fine_tuning/estimates', { training_file: file, model: 'tiny', start_from: model }],
    ['/v1/fine_tuning/estimates', { training_file: file, model: 'tiny', start_from: version }],
  ],
  'GET /v1/fine_tuning/options': (of) => [
    [query('/v1/fine_tuning/options', { model: of.model })],
    [query('/v1/fine_tuning/options', { model: 'tiny', start_from: of.version })],
  ],
  'GET /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints/{checkpoint_id}/download': (of) => [
    [`${jobs}/${of.runningJob}/checkpoints/${of.checkpoint}/download`],
  ],
  'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints/{checkpoint_id}/promote': (
    of,
    { mine, name },
  ) => [
    [`${jobs}/${of.runningJob}/checkpoints/${of.checkpoint}/promote`, {}],
    [`${jobs}/${of.runningJob}/checkpoints/${of.checkpoint}/promote`, { name: 'poet' }],
    [`${jobs}/${mine.runningJob}/checkpoints/${mine.checkpoint}/promote`, { name }],
  ],
  'DELETE /v1/fine_tuning/jobs/{fine_tuning_job_id}/checkpoints/{checkpoint_id}': (of) => [
    [`${jobs}/${of.runningJob}/checkpoints/${of.checkpoint}`],
  ],
  'POST /v1/fine_tuning/jobs/{fine_tuning_job_id}/cancel': (of) => [[`${jobs}/${of.runningJob}/cancel`]],
  'DELETE /v1/fine_tuning/jobs/{fine_tuning_job_id}': (of) => [[`${jobs}/${of.runningJob}`]],
  'GET /v1/files/{file_id}/report': (_of, { file }) => [[`/v1/files/${file}/report?model=tiny`]],
  'POST /v1/files/{file_id}/report': ({ model, version }, { file }) => [
    [`/v1/files/${file}/report`, { model }],
    [`/v1/files/${file}/report`, { model: 'tiny', start_from: model }],
    [`/v1/files/${file}/report`, { model: 'tiny', start_from: version }],
  ],
  'POST /v1/chat/completions': ({ model, alias }) => [
    ['/v1/chat/completions', { model, messages }],
    ['/v1/chat/completions', { model: alias, messages }],
  ],
  'POST /v1/classify': ({ model, alias }) => [
    ['/v1/classify', { model, input: 'a' }],
    ['/v1/classify', { model: alias, input: 'a' }],
  ],
  'POST /v1/completions': ({ model, alias }) => [
    ['/v1/completions', { model, prompt: 'a' }],
    ['/v1/completions', { model: alias, prompt: 'a' }],
  ],
  'POST /v1/embeddings': ({ model, alias }) => [
    ['/v1/embeddings', { model, input: 'a' }],
    ['/v1/embeddings', { model: alias, input: 'a' }],
  ],
  'GET /v1/models/{model}': ({ model, alias }) => [
    [`/v1/models/${alias}`],
    [`/v1/models/${model}`],
    [`/v1/models/${encodeURIComponent(model)}`],
  ],
  'GET /v1/model_aliases/{alias}': ({ alias }) => [[`/v1/model_aliases/${alias}`]],
  'POST /v1/model_aliases/{alias}': ({ model, alias }, { mine }) => [
    [`/v1/model_aliases/${alias}`, { target: mine.model }],
    [`/v1/model_aliases/${mine.alias}`, { target: model }],
    ['/v1/model_aliases/new', { target: model }],
  ],
  'DELETE /v1/model_aliases/{alias}': ({ alias }) => [[`/v1/model_aliases/${alias}`]],
  'POST /v1/adapters/combine': ({ model }, { mine, name }) => [
    ['/v1/adapters/combine', { name: 'poet', sources: [{ model: mine.model }, { model }] }],
    ['/v1/adapters/combine', { name, sources: [{ model: mine.model }, { model: mine.model }] }],
  ],
  'GET /v1/adapters/compare': ({ model }, { mine }) => [
    [query('/v1/adapters/compare', { a: mine.model, b: model })],
    [query('/v1/adapters/compare', { a: model, b: mine.model })],
  ],
  'GET /v1/adapters/{adapter_id}': ({ adapter }) => [[`/v1/adapters/${adapter}`]],
  'GET /v1/adapters/{adapter_id}/versions': ({ adapter }) => [[`/v1/adapters/${adapter}/versions`]],
  'GET /v1/adapters/{adapter_id}/versions/{version}': ({ adapter }) => [
    [`/v1/adapters/${adapter}/versions/1`],
  ],
  'GET /v1/adapters/{adapter_id}/versions/{version}/lineage': ({ adapter }) => [
    [`/v1/adapters/${adapter}/versions/1/lineage`],
  ],
  'GET /v1/adapters/{adapter_id}/versions/{version}/download': ({ adapter }) => [
    [`/v1/adapters/${adapter}/versions/1/download`],
  ],
  'GET /v1/adapters/{adapter_id}/versions/{version}/publications': ({ adapter }) => [
    [publicationsOf(adapter)],
  ],
  'POST /v1/adapters/{adapter_id}/versions/{version}/publications': ({ adapter }) => [
    [publicationsOf(adapter), { repository: 'org/second' }],
  ],
  'GET /v1/adapters/{adapter_id}/versions/{version}/publications/{publication_id}': (of) => [
    [`${publicationsOf(of.adapter)}/${of.publication}`],
  ],
  'DELETE /v1/adapters/{adapter_id}/versions/{version}/publications/{publication_id}': (of) => [
    [`${publicationsOf(of.adapter)}/${of.publication}`],
  ],
  'GET /v1/adapters/{adapter_id}/versions/{version}/exports': ({ adapter }) => [[exportsOf(adapter)]],
  'GET /v1/adapters/{adapter_id}/versions/{version}/exports/formats': ({ adapter }) => [
    [`${exportsOf(adapter)}/formats`],
  ],
  'POST /v1/adapters/{adapter_id}/versions/{version}/exports': ({ adapter }) => [
    [exportsOf(adapter), { format: 'peft' }],
  ],
  'GET /v1/adapters/{adapter_id}/versions/{version}/exports/{export_id}': (of) => [
    [`${exportsOf(of.adapter)}/${of.export}`],
  ],
  'GET /v1/adapters/{adapter_id}/versions/{version}/exports/{export_id}/download': (of) => [
    [`${exportsOf(of.adapter)}/${of.export}/download`],
  ],
  'POST /v1/adapters/{adapter_id}/versions/{version}/exports/{export_id}': (of) => [
    [`${exportsOf(of.adapter)}/${of.export}`, { keep: true }],
  ],
  'POST /v1/adapters/{adapter_id}/versions/{version}/exports/{export_id}/cancel': (of) => [
    [`${exportsOf(of.adapter)}/${of.export}/cancel`],
  ],
  'DELETE /v1/adapters/{adapter_id}/versions/{version}/exports/{export_id}': (of) => [
    [`${exportsOf(of.adapter)}/${of.export}`],
  ],
  'GET /v1/adapters/{adapter_id}/tags': ({ adapter }) => [[`/v1/adapters/${adapter}/tags`]],
  'POST /v1/adapters/{adapter_id}/note': ({ adapter }) => [[`/v1/adapters/${adapter}/note`, { note: 'x' }]],
  'POST /v1/adapters/{adapter_id}/versions/{version}/note': ({ adapter }) => [
    [`/v1/adapters/${adapter}/versions/1/note`, { note: 'x' }],
  ],
  'POST /v1/adapters/{adapter_id}/versions/{version}/restore': ({ adapter }) => [
    [`/v1/adapters/${adapter}/versions/2/restore`],
  ],
  'POST /v1/adapters/{adapter_id}/tags': ({ adapter }) => [
    [`/v1/adapters/${adapter}/tags`, { tag: 'production', version: 1 }],
    [`/v1/adapters/${adapter}/tags`, { tag: 'staging', version: 1 }],
  ],
  'DELETE /v1/adapters/{adapter_id}/tags/{tag}': ({ adapter }) => [
    [`/v1/adapters/${adapter}/tags/production`],
  ],
  'DELETE /v1/adapters/{adapter_id}/versions/{version}': ({ adapter }) => [
    [`/v1/adapters/${adapter}/versions/1`],
  ],
  'DELETE /v1/models/{model}': ({ model }) => [[`/v1/models/${model}`]],
  'DELETE /v1/adapters/{adapter_id}': ({ adapter }) => [[`/v1/adapters/${adapter}`]],
  // About all models.
  'GET /v1/usage': () => [['/v1/usage?start_time=0']],
  'GET /v1/usage/budget': () => [['/v1/usage/budget']],
  'GET /v1/audit': () => [['/v1/audit']],
  'GET /v1/audit/export': () => [['/v1/audit/export']],
  'GET /v1/webhooks': () => [['/v1/webhooks']],
  'POST /v1/webhooks': () => [['/v1/webhooks', { url: 'https://example.com/' }]],
  'GET /v1/webhooks/{webhook_id}': () => [[webhook]],
  'POST /v1/webhooks/{webhook_id}': () => [[webhook, { enabled: true }]],
  'POST /v1/webhooks/{webhook_id}/rotate_secret': () => [[`${webhook}/rotate_secret`, {}]],
  'POST /v1/webhooks/{webhook_id}/test': () => [[`${webhook}/test`]],
  'GET /v1/webhooks/{webhook_id}/deliveries': () => [[`${webhook}/deliveries`]],
  'POST /v1/webhooks/{webhook_id}/deliveries/{delivery_id}/resend': () => [
    [`${webhook}/deliveries/x/resend`],
  ],
  'DELETE /v1/webhooks/{webhook_id}': () => [[webhook]],
  'POST /v1/integrations/{type}': () => [['/v1/integrations/mlflow', { url: 'https://example.com/' }]],
  'DELETE /v1/integrations/{type}': () => [['/v1/integrations/mlflow']],
  'GET /v1/team/exits': () => [['/v1/team/exits']],
  'POST /v1/team/publishing': () => [['/v1/team/publishing', { public: false }]],
  'GET /v1/deploy_targets': () => [['/v1/deploy_targets']],
  'POST /v1/deploy_targets': ({ adapter }) => [
    [
      '/v1/deploy_targets',
      {
        name: 'a',
        runtime: 'vllm',
        url: 'https://example.com',
        adapter_id: adapter,
        tag: 'production',
        model_name: 'mine',
      },
    ],
  ],
  'GET /v1/deploy_targets/{target_id}': () => [[target]],
  'POST /v1/deploy_targets/{target_id}': () => [[target, { keep_seconds: 1 }]],
  'POST /v1/deploy_targets/{target_id}/retry': () => [[`${target}/retry`]],
  'DELETE /v1/deploy_targets/{target_id}': () => [[target]],
  'DELETE /v1/team': () => [['/v1/team?name=acme']],
};

/** Lists whose responses omit what is beyond the limit. */
export const lists = ['/v1/fine_tuning/jobs', '/v1/models', '/v1/adapters', '/v1/adapters/deleted'];

/** Tested separately: an endless stream, a form, and a list without pages. */
export const apart = ['GET /v1/fine_tuning/jobs/changes', 'POST /v1/adapters', 'GET /v1/model_aliases'];

/** Routes that use no model, each checked by hand. */
export const withoutModels = [
  'GET /v1/files',
  'POST /v1/files',
  'POST /v1/files/import',
  'GET /v1/files/{file_id}',
  'DELETE /v1/files/{file_id}',
  'GET /v1/files/{file_id}/content',
  'GET /v1/uploads',
  'POST /v1/uploads',
  'GET /v1/uploads/{upload_id}',
  'GET /v1/uploads/{upload_id}/parts',
  'POST /v1/uploads/{upload_id}/parts',
  'POST /v1/uploads/{upload_id}/complete',
  'POST /v1/uploads/{upload_id}/cancel',
  'GET /v1/team',
  'GET /v1/team/quota',
  'GET /v1/team/members',
  'GET /v1/team/publishing',
  'POST /v1/team/members/{person_id}',
  'DELETE /v1/team/members/{person_id}',
  'GET /v1/team/invitations',
  'POST /v1/team/invitations',
  'DELETE /v1/team/invitations/{invitation_id}',
  'GET /v1/team/keys',
  'POST /v1/team/keys',
  'GET /v1/team/keys/{key_id}',
  'GET /v1/team/keys/{key_id}/revocation',
  'POST /v1/team/keys/{key_id}/rotate',
  'DELETE /v1/team/keys/{key_id}',
  'GET /v1/integrations',
  'GET /v1/integrations/{type}',
  'POST /v1/team/leave',
];
