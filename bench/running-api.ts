/** An API process on a private database, for a benchmark, with a worker on request, and a client over connections that stay open. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { writeTinyModel } from '@graft/peft-core/testing';
import { createApiKey } from '@graft/service/keys';
import type { Services } from '@graft/service/services';
import { createTeam } from '@graft/service/teams';
import { openTestServices } from '@graft/service/testing';
import { scratchFolder } from '../test/golden/fixtures/scratch-folder.ts';
import { freePort, graftEnvironment } from '../test/service/running-graft.ts';

const root = path.join(import.meta.dirname, '..');

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** Milliseconds until the first piece of the body, and until its end. */
  first: number;
  took: number;
}

export interface Asked {
  method?: string;
  path: string;
  key?: string;
  /** Sent as JSON, as a form, or, text and bytes, as it is. */
  body?: object | string | Buffer<ArrayBuffer> | FormData;
  headers?: Record<string, string>;
  /** The client hangs up after the first piece of the answer. */
  hangUp?: boolean;
  /** Ends the request, which then throws. */
  signal?: AbortSignal;
}

export interface RunningApi {
  /** As the owner of the API's database. */
  services: Services;
  url: string;
  process: ChildProcess;
  ask(asked: Asked): Promise<Answer>;
  /** A key of a new team. */
  newTeam(name: string): Promise<{ id: string; key: string }>;
  newKey(teamId: string): Promise<string>;
  close(): Promise<void>;
}

/**
 * `flags` are Node's, of the API process; `worker` starts one, too. `model`: the base model `tiny`, as fields of its config.json, or the
 * folder or file of another one.
 */
export async function startApi({
  flags = [],
  settings,
  worker = false,
  model: given = { max_position_embeddings: 64 },
}: {
  flags?: string[];
  settings?: Record<string, string>;
  worker?: boolean;
  model?: Record<string, unknown> | string;
} = {}): Promise<RunningApi> {
  const folder = scratchFolder('bench-api');
  const model = typeof given === 'string' ? given : path.join(folder, 'tiny');
  if (typeof given !== 'string') await writeTinyModel(model, given);
  const baseModels = path.join(folder, 'base-models.json');
  writeFileSync(baseModels, JSON.stringify({ tiny: { folder: model } }));
  const services = await openTestServices({ role: 'admin' });
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = graftEnvironment({
    PORT: String(port),
    GRAFT_DATA_DIR: path.join(folder, 'data'),
    GRAFT_BASE_MODELS: baseModels,
    GRAFT_PEPPER: services.secrets.pepper.text,
    GRAFT_INTERNAL_TOKEN: services.secrets.internalToken,
    DATABASE_URL: services.env.databaseUrl,
    REDIS_URL: services.env.redisUrl,
    ...settings,
  });
  let tail = '';
  const children: ChildProcess[] = [];
  /** Resolves when the process is ready. */
  const start = async (entry: string, flags: string[] = []): Promise<ChildProcess> => {
    const args = [...flags, path.join(root, 'scripts/compile/run.mjs'), entry];
    const child = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env });
    for (const stream of [child.stdout!, child.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => {
        tail = (tail + text).slice(-4000);
      });
    process.on('exit', () => child.kill('SIGKILL'));
    children.push(child);
    await new Promise<void>((resolve, reject) => {
      child.on('message', ({ type }: { type?: string }) => type === 'ready' && resolve());
      child.once('exit', () => reject(new Error(`${entry} has ended. Its last lines:\n${tail}`)));
    });
    return child;
  };
  const api = await start('apps/api/src/main.ts', flags);
  if (worker) await start('apps/worker/src/main.ts');

  const attempt = async ({ path: at, key, body, hangUp, ...asked }: Asked): Promise<Answer> => {
    const isReady = body === undefined || typeof body === 'string' || Buffer.isBuffer(body);
    const isForm = body instanceof FormData;
    const sent = isReady || isForm ? body : JSON.stringify(body);
    const headers = {
      'accept-encoding': 'identity',
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(body !== undefined && !isForm && { 'content-type': 'application/json' }),
      ...asked.headers,
    };
    const began = performance.now();
    const response = await fetch(`${url}${at}`, { ...asked, headers, body: sent ?? null });
    const decoder = new TextDecoder();
    let [text, first] = ['', 0];
    for await (const piece of response.body ?? []) {
      first ||= performance.now() - began;
      text += decoder.decode(piece, { stream: true });
      if (hangUp) break;
    }
    const { status, headers: given } = response;
    return { status, headers: given, text, first, took: performance.now() - began };
  };
  const newKey = async (teamId: string): Promise<string> =>
    (await createApiKey(services, teamId, { name: 'bench', role: 'member' })).key;

  return {
    services,
    url,
    process: api,
    ask: async (asked) => {
      for (let left = 3; ; left--) {
        try {
          return await attempt(asked);
        } catch (error) {
          // The API ends a connection after 10,000 requests, perhaps while the next one is on its way.
          const { code } = ((error as Error).cause ?? {}) as { code?: string };
          const isCut = code === 'ECONNRESET' || code === 'UND_ERR_SOCKET';
          if (!isCut || left === 0) throw new Error(`${asked.path}: ${error}\n${tail}`);
        }
      }
    },
    newTeam: async (name) => {
      const { id } = await createTeam(services, { name });
      return { id, key: await newKey(id) };
    },
    newKey,
    close: async () => {
      for (const child of children) {
        const ended = once(child, 'exit');
        if (child.exitCode !== null || child.signalCode !== null) continue;
        child.kill('SIGTERM');
        await ended;
      }
      await services.close();
    },
  };
}

/** The JSON of an answer with status 200. Throws others. */
// biome-ignore lint/suspicious/noExplicitAny: answers of many routes
export async function answerTo({ ask }: Pick<RunningApi, 'ask'>, asked: Asked): Promise<Record<string, any>> {
  const { status, text } = await ask(asked);
  if (status !== 200) throw new Error(`broken: ${asked.path}: ${status} ${text.slice(0, 300)}`);
  return JSON.parse(text);
}

/** A training file of the team, and its id. */
export async function uploadFile(api: RunningApi, key: string, lines: string): Promise<string> {
  const body = new FormData();
  body.set('purpose', 'fine-tune');
  body.set('file', new Blob([lines]), 'train.jsonl');
  return (await answerTo(api, { method: 'POST', path: '/v1/files', key, body })).id;
}

/** `options`: other fields of the request. */
export async function createJob(
  api: RunningApi,
  key: string,
  training_file: string,
  options: object = {},
): Promise<string> {
  const body = { model: 'tiny', training_file, ...options };
  return (await answerTo(api, { method: 'POST', path: '/v1/fine_tuning/jobs', key, body })).id;
}

/** A request to POST /v1/mcp that calls a tool. `padding`: characters that make the body larger. */
export function toolCall(key: string, name: string, args: object, padding = 0): Asked {
  const meta = padding > 0 ? { _meta: { padding: 'x'.repeat(padding) } } : {};
  const params = { name, arguments: args, ...meta };
  return {
    method: 'POST',
    path: '/v1/mcp',
    key,
    headers: { accept: 'application/json, text/event-stream' },
    body: Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params })),
  };
}
