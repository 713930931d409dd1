/**
 * The cost of a thousand clients that each wait for a different job: they poll it with the ETag of the previous answer, over
 * connections that stay open. Prints response times, statuses, and how many connections to Postgres the API held.
 *
 * usage: main.ts [--pollers 1000] [--every 2] [--seconds 60]
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { writeTinyModel } from '@graft/peft-core/testing';
import { createApiKey, createTeam } from '@graft/service';
import { openTestServices } from '@graft/service/testing';
import { freePort, graftEnvironment, startProcess, whenReady } from '../../test/service/running-graft.ts';

const { values } = parseArgs({
  options: {
    pollers: { type: 'string', default: '1000' },
    every: { type: 'string', default: '2' },
    seconds: { type: 'string', default: '60' },
  },
});
const [pollers, every, seconds] = [values.pollers, values.every, values.seconds].map(Number) as [
  number,
  number,
  number,
];
const teams = 10;

const folder = mkdtempSync(path.join(tmpdir(), 'graft-pollers-'));
const model = path.join(folder, 'tiny');
await writeTinyModel(model, { max_position_embeddings: 64 });
const baseModels = path.join(folder, 'base-models.json');
writeFileSync(baseModels, JSON.stringify({ tiny: { folder: model } }));

const services = await openTestServices({ role: 'admin' });
const port = await freePort();
const api = startProcess(
  'scripts/start/main.ts',
  ['api'],
  graftEnvironment({
    PORT: String(port),
    GRAFT_DATA_DIR: path.join(folder, 'data'),
    GRAFT_BASE_MODELS: baseModels,
    GRAFT_PEPPER: services.secrets.pepper.text,
    GRAFT_INTERNAL_TOKEN: services.secrets.internalToken,
    DATABASE_URL: services.env.databaseUrl,
    REDIS_URL: services.env.redisUrl,
  }),
);
const agent = new Agent({ keepAlive: true, maxSockets: pollers, scheduling: 'fifo' });

interface Answer {
  status: number;
  etag: string | undefined;
  text: string;
}

async function ask(
  key: string,
  method: string,
  at: string,
  body?: FormData | object,
  etag?: string,
): Promise<Answer> {
  const form = body instanceof FormData ? new Response(body) : null;
  const bytes = form ? Buffer.from(await form.arrayBuffer()) : body ? JSON.stringify(body) : '';
  return await new Promise((resolve, reject) => {
    const sent = request(
      {
        agent,
        host: '127.0.0.1',
        port,
        method,
        path: at,
        headers: {
          authorization: `Bearer ${key}`,
          ...(etag ? { 'if-none-match': etag } : {}),
          ...(body ? { 'content-type': form?.headers.get('content-type') ?? 'application/json' } : {}),
          'content-length': Buffer.byteLength(bytes),
        },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, etag: response.headers.etag, text }),
        );
      },
    );
    sent.on('error', reject);
    sent.end(bytes);
  });
}

async function createJobs(): Promise<{ key: string; id: string }[]> {
  const jobs: { key: string; id: string }[] = [];
  for (let team = 0; team < teams; team++) {
    const { id } = await createTeam(services, { name: `team-${team}` });
    const { key } = await createApiKey(services, id, { name: 'pollers', role: 'member' });
    const form = new FormData();
    form.set('purpose', 'fine-tune');
    form.set('file', new Blob(['{"prompt": "a", "completion": "b"}\n']), 'train.jsonl');
    const file = JSON.parse((await ask(key, 'POST', '/v1/files', form)).text).id as string;
    for (let i = 0; i < pollers / teams; i++) {
      const body = { model: 'tiny', training_file: file };
      const created = await ask(key, 'POST', '/v1/fine_tuning/jobs', body);
      if (created.status !== 200) throw new Error(created.text);
      jobs.push({ key, id: JSON.parse(created.text).id });
    }
  }
  return jobs;
}

try {
  await whenReady(api, `http://127.0.0.1:${port}/readyz`);
  console.log(`creating ${pollers} jobs of ${teams} teams`);
  const jobs = await createJobs();
  const until = performance.now() + 1000 * seconds;
  const took: number[] = [];
  const statuses = new Map<number, number>();
  let connections = 0;
  const watch = setInterval(async () => {
    const { rows } = await services.sql.query<{ count: number }>(
      "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'graft%'",
    );
    connections = Math.max(connections, rows[0]?.count ?? 0);
  }, 500);
  console.log(`${pollers} pollers, each every ${every} s, for ${seconds} s`);
  await Promise.all(
    jobs.map(async ({ key, id }) => {
      let etag: string | undefined;
      for (await sleep(Math.random() * every * 1000); performance.now() < until; ) {
        const asked = performance.now();
        const answer = await ask(key, 'GET', `/v1/fine_tuning/jobs/${id}`, undefined, etag);
        const milliseconds = performance.now() - asked;
        took.push(milliseconds);
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        etag = answer.etag ?? etag;
        await sleep(Math.max(0, every * 1000 - milliseconds));
      }
    }),
  );
  clearInterval(watch);
  took.sort((a, b) => a - b);
  const at = (share: number) => Math.round(took[Math.ceil(share * took.length) - 1] ?? 0);
  const told = [...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${count} × ${status}`);
  console.log(`${took.length} answers (${told.join(', ')}), ${Math.round(took.length / seconds)} a second`);
  console.log(`p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, worst ${at(1)} ms`);
  console.log(`${connections} connections to Postgres at most`);
} finally {
  agent.destroy();
  await api.end('SIGTERM');
  await services.close();
  rmSync(folder, { recursive: true, force: true });
}
