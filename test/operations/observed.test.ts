/**
 * Observability of a running Graft: one trace from a client's request to the steps of its job, and the metrics of API and worker,
 * which no tenant can read. They include every metric that the dashboard and the alerts use.
 */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openTestServices } from '@graft/service/testing';
import { writeExamples } from '../golden/fixtures/example-data.ts';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';
import { tinyFixture } from '../golden/fixtures/tiny-fixture.ts';
import {
  freePort,
  graftEnvironment,
  newBootstrapKey,
  type RunningProcess,
  startProcess,
  whenReady,
} from '../service/running-graft.ts';
import { openOtlpReceiver, type ReceivedSpan } from './otlp-receiver.ts';

const steps = 12;
const metricsToken = 'a-metrics-token-for-tests';
const traceId = '0af7651916cd43dd8448eb211c80319c';
const fixture = await tinyFixture();
const folder = scratchFolder('observed');
const services = await openTestServices({ role: 'admin' });
const [port, workerPort] = [await freePort(), await freePort()];
const key = newBootstrapKey();
const receiver = await openOtlpReceiver();
const baseModels = join(folder, 'base-models.json');
const env = graftEnvironment({
  PORT: String(port),
  GRAFT_WORKER_PORT: String(workerPort),
  GRAFT_DATA_DIR: join(folder, 'data'),
  GRAFT_BASE_MODELS: baseModels,
  GRAFT_BOOTSTRAP_KEY: key,
  GRAFT_METRICS_TOKEN: metricsToken,
  DATABASE_URL: services.env.databaseUrl,
  REDIS_URL: services.env.redisUrl,
  OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
  OTEL_BSP_SCHEDULE_DELAY: '200',
});
let api: RunningProcess;
let worker: RunningProcess;
let jobId: string;

before(async () => {
  await writeFile(baseModels, JSON.stringify({ 'tiny-llama': { folder: fixture.modelFolder('tied') } }));
  await writeExamples(join(folder, 'train.jsonl'), 'chat', 16);
  api = startProcess('scripts/start/main.ts', ['api'], env);
  await whenReady(api, `http://127.0.0.1:${port}/healthz`);
  worker = startProcess('apps/worker/src/main.ts', [], env);
  await whenReady(worker, `http://127.0.0.1:${workerPort}/healthz`);
  const form = new FormData();
  form.set('purpose', 'fine-tune');
  form.set('file', await fileOf(join(folder, 'train.jsonl')), 'train.jsonl');
  const { id: training_file } = await send('POST', '/v1/files', form);
  const created = await send('POST', '/v1/fine_tuning/jobs', {
    model: 'tiny-llama',
    training_file,
    seed: 3,
    hyperparameters: { batch_size: 4, n_epochs: 3 },
    peft: { peft_type: 'LORA', r: 4, target_modules: ['q_proj', 'v_proj'] },
    training: { max_steps: steps, checkpoint_steps: 5, precision: 'fp32' },
  });
  jobId = created.id;
  await untilOver(jobId);
});

after(async () => {
  const codes = [await worker.end('SIGTERM'), await api.end('SIGTERM')];
  await services.close();
  await receiver.close();
  assert.deepEqual(codes, [0, 0], `worker and API stopped with ${codes}:\n${worker.tail()}\n${api.tail()}`);
});

async function fileOf(path: string): Promise<Blob> {
  const { openAsBlob } = await import('node:fs');
  return await openAsBlob(path);
}

// biome-ignore lint/suspicious/noExplicitAny: answers are what is tested
async function send(method: string, path: string, body?: FormData | object): Promise<any> {
  const isForm = body instanceof FormData;
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      traceparent: `00-${traceId}-b7ad6b7169203331-01`,
      ...(body && !isForm ? { 'content-type': 'application/json' } : {}),
    },
    ...(body ? { body: isForm ? body : JSON.stringify(body) } : {}),
  });
  assert.ok(response.ok, `${path}: ${response.status} ${await response.clone().text()}`);
  return await response.json();
}

async function untilOver(id: string): Promise<void> {
  const deadline = performance.now() + 180_000;
  for (;;) {
    const job = await send('GET', `/v1/fine_tuning/jobs/${id}`);
    if (job.status === 'succeeded') return;
    assert.ok(
      job.status !== 'failed' && performance.now() < deadline,
      `${JSON.stringify(job)}\n${worker.tail()}`,
    );
    await sleep(200);
  }
}

async function scrape(at: number, headers: Record<string, string> = {}): Promise<Response> {
  return await fetch(`http://127.0.0.1:${at}/metrics`, { headers });
}

const withToken = { authorization: `Bearer ${metricsToken}` };

test('one trace leads from the request to validation, attempt, steps and checkpoints', async () => {
  const named = (name: string) => receiver.spans.filter((span) => span.name === name);
  const deadline = performance.now() + 20_000;
  while (named('job attempt').length === 0 && performance.now() < deadline) await sleep(100);
  const one = (name: string): ReceivedSpan => {
    const found = named(name);
    assert.equal(found.length, 1, `${name}: ${receiver.spans.map((span) => span.name)}`);
    return found[0]!;
  };
  const request = one('POST /v1/fine_tuning/jobs');
  assert.deepEqual(
    [request.traceId, request.parentId, request.service],
    [traceId, 'b7ad6b7169203331', 'graft-api'],
  );
  const validation = one('job validation');
  const attempt = one('job attempt');
  for (const span of [validation, attempt]) {
    assert.deepEqual([span.traceId, span.parentId], [traceId, request.spanId], span.name);
    assert.equal(span.attributes['graft.job_id'], jobId);
  }
  assert.deepEqual([validation.service, attempt.service], ['graft-api', 'graft-worker']);
  assert.equal(attempt.attributes['graft.outcome'], 'succeeded');
  const stretches = named('training steps').map((span) => {
    assert.deepEqual([span.traceId, span.parentId], [traceId, attempt.spanId]);
    return [span.attributes['graft.first_step'], span.attributes['graft.last_step']];
  });
  assert.deepEqual(stretches.slice(0, 2), [
    [1, 5],
    [6, 10],
  ]);
  const events = named('training steps').flatMap((span) => span.events);
  assert.deepEqual(
    events.filter(({ name }) => name === 'step').map(({ attributes }) => attributes.step),
    Array.from({ length: steps }, (_, i) => i + 1),
  );
  assert.ok(events.some(({ name, attributes }) => name === 'checkpoint' && attributes.step === 5));
});

test('API and worker show their metrics only to clients with the token', async () => {
  for (const at of [port, workerPort]) {
    assert.equal((await scrape(at)).status, 404);
    // A tenant's key has no access.
    assert.equal((await scrape(at, { authorization: `Bearer ${key}` })).status, 404);
  }
  const apiMetrics = await (await scrape(port, withToken)).text();
  const workerMetrics = await (await scrape(workerPort, withToken)).text();
  assert.match(
    apiMetrics,
    /^graft_http_request_duration_seconds_count\{method="GET",route="\/v1\/fine_tuning\/jobs\/:fine_tuning_job_id",status="200"\} \d+$/m,
  );
  assert.match(apiMetrics, /^graft_job_validation_seconds_count\{outcome="queued"\} 1$/m);
  assert.match(apiMetrics, /^graft_jobs\{state="running"\} 0$/m);
  assert.match(workerMetrics, new RegExp(`^graft_training_steps_total ${steps}$`, 'm'));
  assert.match(workerMetrics, /^graft_job_attempts_total\{outcome="succeeded"\} 1$/m);
  assert.match(workerMetrics, /^graft_job_queue_wait_seconds_count 1$/m);
  assert.ok(Number(/^graft_training_tokens_total (\d+)$/m.exec(workerMetrics)?.[1]) > steps);
  assert.ok(Number(/^graft_checkpoints_total (\d+)$/m.exec(workerMetrics)?.[1]) >= 2);
  assert.match(workerMetrics, /^graft_checkpoint_seconds_count [1-9]/m);
  assert.ok(Number(/^graft_checkpoint_bytes_total (\d+)$/m.exec(workerMetrics)?.[1]) > 1000);
  assert.match(workerMetrics, /^nodejs_eventloop_lag_p99_seconds \S+$/m);
  assert.doesNotMatch(apiMetrics + workerMetrics, /="(?:ftjob|file|team)[-_]/);
});
