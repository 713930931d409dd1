/**
 * Sends secrets of every kind to a real API in thousands of malformed requests: none may appear in its log, traces, database or
 * answers. GRAFT_FUZZ_REQUESTS: number of requests.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openTestServices } from '@graft/service/testing';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';
import { tinyFixture } from '../golden/fixtures/tiny-fixture.ts';
import { hostileCorpus } from '../hostile/corpus.ts';
import { type HostileRequest, sendHostile } from '../hostile/request.ts';
import {
  freePort,
  graftEnvironment,
  newBootstrapKey,
  type RunningProcess,
  startProcess,
  whenReady,
} from '../service/running-graft.ts';
import { openOtlpReceiver } from './otlp-receiver.ts';

const requests = Number(process.env.GRAFT_FUZZ_REQUESTS ?? 1000);
const atOnce = 8;

const canary = () => randomBytes(12).toString('hex');
/** Values that must never appear: secrets that Graft was given or has created, or that a request has in place of a secret. */
const secrets: Record<string, string> = {
  pepper: canary(),
  internalToken: canary(),
  metricsToken: canary(),
  wrongKey: canary(),
  cookie: canary(),
  query: canary(),
};
/** Texts of users, which may appear in their team's rows and answers, but in no log or trace. */
const prompt = canary();
const data = canary();

const port = await freePort();
const base = `http://127.0.0.1:${port}`;
const bootstrapKey = newBootstrapKey();
secrets.bootstrapKey = secretOf(bootstrapKey);
const services = await openTestServices({ role: 'admin' });
const receiver = await openOtlpReceiver();
const folder = scratchFolder('canaries');
let log = '';
let api: RunningProcess;
let answers: string[] = [];

function secretOf(key: string): string {
  return key.split('_').at(-1)!;
}

async function send(
  method: string,
  path: string,
  body?: object,
): Promise<{ id: string; [name: string]: string }> {
  const isForm = body instanceof FormData;
  const response = await fetch(base + path, {
    method,
    headers: {
      authorization: `Bearer ${bootstrapKey}`,
      ...(body && !isForm ? { 'content-type': 'application/json' } : {}),
    },
    ...(body ? { body: isForm ? body : JSON.stringify(body) } : {}),
  });
  assert.ok(response.ok, `${path}: ${response.status} ${await response.clone().text()}`);
  return (await response.json()) as { id: string };
}

before(async () => {
  const baseModels = join(folder, 'base-models.json');
  const fixture = await tinyFixture();
  await writeFile(baseModels, JSON.stringify({ tiny: { folder: fixture.modelFolder('tied') } }));
  const env = graftEnvironment({
    LOG_LEVEL: 'trace',
    PORT: String(port),
    GRAFT_DATA_DIR: join(folder, 'data'),
    GRAFT_BASE_MODELS: baseModels,
    GRAFT_BOOTSTRAP_KEY: bootstrapKey,
    GRAFT_PEPPER: secrets.pepper,
    GRAFT_INTERNAL_TOKEN: secrets.internalToken,
    GRAFT_METRICS_TOKEN: secrets.metricsToken,
    GRAFT_WEBHOOK_ALLOW: '127.0.0.1',
    DATABASE_URL: services.env.databaseUrl,
    REDIS_URL: services.env.redisUrl,
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url,
    OTEL_BSP_SCHEDULE_DELAY: '200',
  });
  api = startProcess('scripts/start/main.ts', ['api'], env);
  api.onOutput((text) => {
    log += text;
  });
  await whenReady(api, `${base}/readyz`);
});
after(async () => {
  await api.end('SIGTERM');
  await services.close();
  await receiver.close();
});

/** Random integers below a limit: mulberry32. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** The request with canaries in place of its secrets and texts. */
function baited(request: HostileRequest, draw: (below: number) => number): [key: string, HostileRequest] {
  const words = request.path.includes('completions') ? prompt : data;
  const body = typeof request.body === 'string' ? request.body.slice(0, 20_000) : null;
  const changes: Partial<HostileRequest>[] = [
    { body: body?.replaceAll(/"x+"/g, `"${words}"`) ?? null },
    { body: body && body.slice(0, draw(body.length + 1)) + words },
    {
      body: JSON.stringify({
        model: 'tiny',
        prompt: words,
        messages: [{ role: 'user', content: words }],
        [words]: 1,
      }),
    },
    { body: `{"training_file": "${words}", "suffix": "${words}", "metadata": {"${words}": 7}}` },
    {
      path: `${request.path}${request.path.includes('?') ? '&' : '?'}api_key=${secrets.query}&token=${secrets.query}`,
    },
    { headers: { ...request.headers, cookie: `session=${secrets.cookie}`, 'x-api-key': secrets.cookie! } },
    {
      headers: {
        ...request.headers,
        'proxy-authorization': secrets.cookie!,
        referer: `${base}/?k=${secrets.query}`,
      },
    },
    { method: ['GET', 'POST', 'DELETE', 'PUT'][draw(4)]! },
    {},
  ];
  const change = changes[draw(changes.length)]!;
  const keys = [
    bootstrapKey,
    `graft_${bootstrapKey.split('_')[1]}_${secrets.wrongKey}`,
    `graft_nobody_${secrets.wrongKey}`,
    secrets.wrongKey!,
  ];
  const key = draw(3) > 0 ? keys[0]! : keys[draw(keys.length)]!;
  return [key, { ...request, body, ...change }];
}

test('broken requests by the thousand', { timeout: 1_200_000 }, async () => {
  const form = new FormData();
  form.set('purpose', 'fine-tune');
  form.set('file', new Blob([`{"prompt": "${data}", "completion": "${data}"}\n`]), 'train.jsonl');
  const file = await send('POST', '/v1/files', form);
  const job = await send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file: file.id });
  secrets.key = secretOf((await send('POST', '/v1/team/keys', { name: 'x', owner: 'team' })).key!);
  secrets.webhook = (await send('POST', '/v1/webhooks', { url: 'http://127.0.0.1:9/' })).secret!;
  secrets.invitation = (
    await send('POST', '/v1/team/invitations', { email: 'a@example.com', role: 'viewer' })
  ).token!;

  const corpus = hostileCorpus({ model: 'tiny', fileId: file.id, jobId: job.id });
  const draw = random(7);
  let sent = 0;
  const sender = async () => {
    while (sent < requests) {
      sent++;
      const [key, request] = baited(corpus[draw(corpus.length)]!, draw);
      const { status, text } = await sendHostile(base, key, request);
      assert.ok(status !== 500, `${request.name}: ${text}`);
      answers.push(text);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, sender));
  assert.ok(answers.length >= requests);
});

test('no secret is in a response', () => {
  const all = answers.join('\n');
  for (const [name, secret] of Object.entries(secrets)) assert.ok(!all.includes(secret), name);
  answers = [];
});

test('no secret, no prompt and no data are in the log', () => {
  assert.ok(log.length > requests * 100, 'the log was read');
  for (const [name, secret] of Object.entries({ ...secrets, prompt, data }))
    assert.ok(!log.includes(secret), `${name}: ${log.split('\n').find((line) => line.includes(secret))}`);
});

test('nor in traces', () => {
  assert.ok(receiver.spans.length > 100, `${receiver.spans.length} spans`);
  const all = receiver.spans.map((span) => JSON.stringify(span));
  for (const [name, secret] of Object.entries({ ...secrets, prompt, data }))
    assert.equal(
      all.find((span) => span.includes(secret)),
      undefined,
      name,
    );
});

test('no secret and no prompt are in the database', async () => {
  const { rows: tables } = await services.sql.query<{ name: string }>(
    "SELECT quote_ident(table_name) AS name FROM information_schema.tables WHERE table_schema = 'public'",
  );
  assert.ok(tables.length > 20, `${tables.length} tables`);
  let bytes = 0;
  for (const { name: table } of tables) {
    const { rows } = await services.sql.query<{ row: string }>(`SELECT t::text AS row FROM ${table} t`);
    const dump = rows.map(({ row }) => row).join('\n');
    bytes += dump.length;
    for (const [name, secret] of Object.entries({ ...secrets, prompt })) {
      assert.ok(!dump.includes(secret), `${name} in ${table}`);
      // In the format in which bytea is dumped.
      assert.ok(!dump.includes(Buffer.from(secret).toString('hex')), `${name} in ${table}, as bytes`);
    }
  }
  assert.ok(bytes > 5000, `${bytes} characters`);
});
