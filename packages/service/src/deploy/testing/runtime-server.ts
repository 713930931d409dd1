import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';

/** Answer of a server: a status with JSON, or with plain text. */
export type Answer = [status: number, body: object | string];

/** A server that stands for a runtime. */
export interface RuntimeServer {
  url: string;
  /** Loaded adapters: name to path. */
  loaded: Map<string, string>;
  /** Method, path and name of every request but lists. */
  log: string[];
  requests: number;
  /**
   * Results of the next requests: a status; `lost`: done, but the connection is closed before the answer; `cut`: closed before it is done;
   * a number of milliseconds as text: the answer is that late.
   */
  next: (number | 'lost' | 'cut' | `${number}ms`)[];
  /** How it was started. */
  options: RuntimeOptions;
  /** Highest number of requests at a time. */
  maxConcurrent: number;
  /** Starts again without adapters, as after a restart of its process. */
  restart(): void;
  close(): Promise<void>;
}

export interface RuntimeOptions {
  /** True where adapters are enabled at all (`--enable-lora`). */
  enableLora: boolean;
  /** True where adapters may be changed while the server runs (vLLM: VLLM_ALLOW_RUNTIME_LORA_UPDATING). */
  allowUpdating: boolean;
  maxRank: number;
  /** SGLang: `--max-loaded-loras`. */
  maxLoaded: number | null;
  apiKey: string | null;
  baseModel: string;
  /** True where the list has the paths of adapters. */
  listsPaths: boolean;
}

export type Handle = (server: RuntimeServer, path: string, body: Record<string, unknown>) => Answer;

/** Opens a server that answers `GET /v1/models` as both runtimes do, and the rest by `handle`. */
export async function openRuntimeServer(
  handle: Handle,
  options: Partial<RuntimeOptions>,
): Promise<RuntimeServer> {
  let atOnce = 0;
  const server: RuntimeServer = {
    url: '',
    loaded: new Map(),
    log: [],
    requests: 0,
    next: [],
    maxConcurrent: 0,
    options: {
      enableLora: true,
      allowUpdating: true,
      maxRank: 16,
      maxLoaded: null,
      apiKey: null,
      baseModel: 'tiny',
      listsPaths: true,
      ...options,
    },
    restart: () => server.loaded.clear(),
    close: async () => {
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
    },
  };
  const http = createServer(async (request, response) => {
    server.requests++;
    server.maxConcurrent = Math.max(server.maxConcurrent, ++atOnce);
    response.once('close', () => atOnce--);
    const text = await textOf(request);
    const fate = server.next.shift();
    if (fate === 'cut') return void request.socket.destroy();
    if (typeof fate === 'number') return void response.writeHead(fate).end('{}');
    if (typeof fate === 'string' && fate.endsWith('ms'))
      await new Promise((resolve) => setTimeout(resolve, Number.parseInt(fate, 10)));
    const [status, body] = answer(server, request, text, handle);
    if (fate === 'lost') return void request.socket.destroy();
    const isText = typeof body === 'string';
    response.writeHead(status, { 'content-type': isText ? 'text/plain' : 'application/json' });
    response.end(isText ? body : JSON.stringify(body));
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  server.url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  return server;
}

function answer(server: RuntimeServer, request: IncomingMessage, text: string, handle: Handle): Answer {
  const { options, loaded } = server;
  if (options.apiKey !== null && request.headers.authorization !== `Bearer ${options.apiKey}`)
    return [401, { error: 'Unauthorized' }];
  const where = new URL(request.url!, 'http://runtime').pathname;
  if (request.method === 'GET' && where === '/v1/models') {
    const base = { id: options.baseModel, object: 'model', root: options.baseModel, parent: null };
    const adapters = [...loaded].map(([id, root]) => ({
      id,
      object: 'model',
      root: options.listsPaths ? root : id,
      parent: options.baseModel,
    }));
    return [200, { object: 'list', data: [base, ...adapters] }];
  }
  if (request.method !== 'POST') return [405, { detail: 'Method Not Allowed' }];
  if (!request.headers['content-type']?.startsWith('application/json'))
    return [415, { detail: "Unsupported Media Type: Only 'application/json' is allowed" }];
  const body = JSON.parse(text) as Record<string, unknown>;
  server.log.push(`${where.split('/').at(-1)!.replace('_lora_adapter', '')} ${String(body.lora_name)}`);
  return handle(server, where, body);
}

/** Reads what both runtimes check in a folder. Null: it has no adapter. */
export function readAdapter(folder: string): { r: number; use_dora: boolean; isWhole: boolean } | null {
  const config = path.join(folder, 'adapter_config.json');
  if (!path.isAbsolute(folder) || !existsSync(config)) return null;
  const { r, use_dora = false } = JSON.parse(readFileSync(config, 'utf8'));
  return { r, use_dora, isWhole: existsSync(path.join(folder, 'adapter_model.safetensors')) };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
