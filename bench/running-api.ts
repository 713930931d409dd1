/** An API process of a benchmark's own, with a worker on request, on its own database, and a client over connections that stay open. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, type ClientRequest, request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { writeTinyModel } from '@graft/peft-core/testing';
import { createApiKey, createTeam, type Services } from '@graft/service';
import { openTestServices } from '@graft/service/testing';
import { freePort, graftEnvironment } from '../test/service/running-graft.ts';

const root = path.join(import.meta.dirname, '..');

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
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
  body?: object | string | Buffer;
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
 * `flags` are Node's, of the API process; `connections` is how many requests the client has open at a time; `worker` starts one, too.
 * `model`: the base model `tiny`, as fields of its config.json, or the folder or file of another one.
 */
export async function startApi(options: {
  flags?: string[];
  settings?: Record<string, string>;
  connections: number;
  worker?: boolean;
  model?: Record<string, unknown> | string;
}): Promise<RunningApi> {
  const folder = mkdtempSync(path.join(tmpdir(), 'graft-bench-api-'));
  const { model: given = { max_position_embeddings: 64 } } = options;
  const model = typeof given === 'string' ? given : path.join(folder, 'tiny');
  if (typeof given !== 'string') await writeTinyModel(model, given);
  const baseModels = path.join(folder, 'base-models.json');
  writeFileSync(baseModels, JSON.stringify({ tiny: { folder: model } }));
  const services = await openTestServices({ role: 'admin' });
  const port = await freePort();
  const env = graftEnvironment({
    PORT: String(port),
    GRAFT_DATA_DIR: path.join(folder, 'data'),
    GRAFT_BASE_MODELS: baseModels,
    GRAFT_PEPPER: services.secrets.pepper.text,
    GRAFT_INTERNAL_TOKEN: services.secrets.internalToken,
    DATABASE_URL: services.env.databaseUrl,
    REDIS_URL: services.env.redisUrl,
    ...options.settings,
  });
  let tail = '';
  const parts: { child: ChildProcess; ended: Promise<unknown> }[] = [];
  /** Resolves when the process is ready. */
  const start = async (entry: string, flags: string[] = []): Promise<ChildProcess> => {
    const child = spawn(process.execPath, [...flags, path.join(root, 'scripts/compile/run.mjs'), entry], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env,
    });
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        tail = (tail + text).slice(-4000);
      });
    }
    process.on('exit', () => child.kill('SIGKILL'));
    const ended = once(child, 'exit');
    parts.push({ child, ended });
    const ready = new Promise<void>((resolve) => {
      child.on('message', ({ type }: { type?: string }) => type === 'ready' && resolve());
    });
    const early = ended.then(() => {
      throw new Error(`${entry} has ended. Its last lines:\n${tail}`);
    });
    early.catch(() => {});
    await Promise.race([ready, early]);
    return child;
  };
  const api = await start('apps/api/src/main.ts', options.flags);
  if (options.worker) await start('apps/worker/src/main.ts');
  const agent = new Agent({ keepAlive: true, maxSockets: options.connections, scheduling: 'fifo' });

  const newKey = async (teamId: string): Promise<string> =>
    (await createApiKey(services, teamId, { name: 'bench', role: 'member' })).key;

  const attempt = async (asked: Asked, bytes: Buffer, headers: Record<string, string>): Promise<Answer> =>
    await new Promise((resolve, reject) => {
      const { method = 'GET', path: at, key, hangUp = false, signal } = asked;
      const began = performance.now();
      const passed = () => performance.now() - began;
      const sent: ClientRequest = request(
        {
          agent,
          host: '127.0.0.1',
          port,
          method,
          path: at,
          ...(signal && { signal }),
          headers: {
            ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
            ...headers,
            ...(bytes.length > 0 ? { 'content-length': bytes.length } : {}),
          },
        },
        (response) => {
          const { statusCode: status = 0, headers } = response;
          let text = '';
          let first = 0;
          const done = () => resolve({ status, headers, text, first, took: passed() });
          response.setEncoding('utf8').on('data', (piece: string) => {
            first ||= passed();
            text += piece;
            if (!hangUp) return;
            done();
            sent.destroy();
          });
          response.on('end', done).on('error', reject);
        },
      );
      sent.on('error', reject);
      sent.end(bytes);
    });

  return {
    services,
    url: `http://127.0.0.1:${port}`,
    process: api,
    ask: async (asked) => {
      const { body } = asked;
      const form = body instanceof FormData ? new Response(body) : null;
      const type = form?.headers.get('content-type') ?? (body === undefined ? null : 'application/json');
      const headers = { ...(type ? { 'content-type': type } : {}), ...asked.headers };
      const isReady = typeof body === 'string' || Buffer.isBuffer(body);
      const json = isReady ? body : body === undefined ? '' : JSON.stringify(body);
      const bytes = Buffer.from(form ? new Uint8Array(await form.arrayBuffer()) : (json as string));
      for (let left = 3; ; left--) {
        try {
          return await attempt(asked, bytes, headers);
        } catch (error) {
          // The API ends a connection after 10,000 requests, perhaps while the next one is on its way.
          const isCut = (error as NodeJS.ErrnoException).code === 'ECONNRESET';
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
      agent.destroy();
      for (const { child, ended } of parts) {
        if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
        await ended;
      }
      await services.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A training file of the team, and its id. */
export async function uploadFile({ ask }: RunningApi, key: string, lines: string): Promise<string> {
  const body = new FormData();
  body.set('purpose', 'fine-tune');
  body.set('file', new Blob([lines]), 'train.jsonl');
  const { status, text } = await ask({ method: 'POST', path: '/v1/files', key, body });
  if (status !== 200) throw new Error(text);
  return JSON.parse(text).id;
}

/** `options`: other fields of the request. */
export async function createJob(
  { ask }: RunningApi,
  key: string,
  training_file: string,
  options: object = {},
): Promise<string> {
  const body = { model: 'tiny', training_file, ...options };
  const { status, text } = await ask({ method: 'POST', path: '/v1/fine_tuning/jobs', key, body });
  if (status !== 200) throw new Error(text);
  return JSON.parse(text).id;
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
