import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

export const OPENAI_KEY = 'sk-proj-canary-0123456789abcdef';

interface ServedFile {
  filename: string;
  content: string;
  /** The error that is returned instead of the content. */
  refused?: { status: number; message: string };
  /** How many downloads break off half way before one is complete. */
  breaks?: number;
  /** The size in the file object, where it differs from the actual size. */
  bytes?: number;
}

export interface OpenAiServer {
  env: { OPENAI_API_KEY: string; OPENAI_BASE_URL: string };
  requests: { method: string; path: string; authorization: string | undefined }[];
  /** Files by id, oldest first. */
  files: Map<string, ServedFile>;
  /** Oldest first. */
  jobs: Record<string, unknown>[];
  /** Number of requests that are answered with 429 and Retry-After. */
  tooMany: number;
  /** Maximum number of objects in a page, even if more are requested. */
  pageSize: number;
  /** Every page is the first one and claims that there are more. */
  pagesGoRound: boolean;
}

/** A job in the format of OpenAI's specification. */
export function openAiJob(id: string, more: object = {}): Record<string, unknown> {
  const hyperparameters = { n_epochs: 3, batch_size: 1, learning_rate_multiplier: 1.8 };
  return {
    object: 'fine_tuning.job',
    id,
    model: 'gpt-4o-mini-2024-07-18',
    created_at: 1_721_764_800,
    finished_at: 1_721_768_400,
    fine_tuned_model: 'ft:gpt-4o-mini-2024-07-18:acme:support:9abc',
    organization_id: 'org-1',
    result_files: ['file-results'],
    status: 'succeeded',
    validation_file: null,
    training_file: 'file-train',
    trained_tokens: 5768,
    estimated_finish: null,
    integrations: [],
    seed: 42,
    error: null,
    metadata: null,
    user_provided_suffix: 'support',
    hyperparameters,
    method: { type: 'supervised', supervised: { hyperparameters } },
    ...more,
  };
}

/** A read-only server that implements OpenAI's specification for files and jobs over real HTTP and records the requests. */
export async function openAiServer(t: TestContext): Promise<OpenAiServer> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    const path = url.pathname.replace(/^\/v1/, '');
    const { authorization } = request.headers;
    state.requests.push({ method: request.method ?? '', path: path + url.search, authorization });
    response.setHeader('x-request-id', `req_${state.requests.length}`);
    if (authorization !== `Bearer ${OPENAI_KEY}`) {
      // OpenAI hides most of the key. This server returns all of it, and the command must not print it.
      const given = authorization?.replace('Bearer ', '');
      return fail(response, 401, 'invalid_api_key', `Incorrect API key provided: ${given}.`);
    }
    if (state.tooMany > 0) {
      state.tooMany--;
      response.setHeader('retry-after', '1');
      return fail(response, 429, 'rate_limit_exceeded', 'Rate limit reached.');
    }
    if (request.method !== 'GET') return fail(response, 405, 'method_not_allowed', 'Only GET.');
    if (path === '/files') {
      const files = [...state.files].map(([id, file]) => fileObject(id, file)).reverse();
      return send(response, page(files, url.searchParams));
    }
    if (path === '/fine_tuning/jobs') {
      return send(response, page(state.jobs.toReversed() as { id: string }[], url.searchParams));
    }
    const job = /^\/fine_tuning\/jobs\/([\w-]+)$/.exec(path)?.[1];
    if (job !== undefined) {
      const found = state.jobs.find(({ id }) => id === job);
      return found ? send(response, found) : notFound(response);
    }
    const [, id = '', content] = /^\/files\/([\w-]+)(\/content)?$/.exec(path) ?? [];
    const file = state.files.get(id);
    if (!file) return notFound(response);
    if (content === undefined) return send(response, fileObject(id, file));
    if (file.refused) return fail(response, file.refused.status, null, file.refused.message);
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    if ((file.breaks ?? 0) > 0) {
      file.breaks = (file.breaks ?? 0) - 1;
      response.write(file.content.slice(0, file.content.length / 2), () => response.destroy());
      return;
    }
    response.end(file.content);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const state: OpenAiServer = {
    env: {
      OPENAI_API_KEY: OPENAI_KEY,
      OPENAI_BASE_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    },
    requests: [],
    files: new Map(),
    jobs: [],
    tooMany: 0,
    pageSize: 2,
    pagesGoRound: false,
  };

  function page(all: { id: string }[], query: URLSearchParams) {
    const after = query.get('after');
    const start = after === null || state.pagesGoRound ? 0 : all.findIndex(({ id }) => id === after) + 1;
    const size = Math.min(state.pageSize, Number(query.get('limit') ?? 20));
    const data = all.slice(start, start + size);
    const has_more = state.pagesGoRound || start + size < all.length;
    return {
      object: 'list',
      data,
      has_more,
      first_id: data[0]?.id ?? null,
      last_id: data.at(-1)?.id ?? null,
    };
  }
  return state;
}

function fileObject(id: string, { filename, content, bytes }: ServedFile) {
  return {
    object: 'file',
    id,
    purpose: 'fine-tune',
    filename,
    bytes: bytes ?? Buffer.byteLength(content),
    created_at: 1_721_764_000,
    expires_at: null,
    status: 'processed',
    status_details: null,
  };
}

const send = (response: ServerResponse, body: unknown): void => {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
};

function fail(response: ServerResponse, status: number, code: string | null, message: string): void {
  const type = 'invalid_request_error';
  response
    .writeHead(status, { 'content-type': 'application/json' })
    .end(JSON.stringify({ error: { message, type, param: null, code } }));
}

const notFound = (response: ServerResponse): void => fail(response, 404, null, 'No such object.');
