import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The content of a Weights & Biases run after the requests of its client. */
export interface RecordedRun {
  variables: Record<string, unknown>;
  /** How often it was requested. */
  upserts: number;
  history: Record<string, number>[];
  summary: Record<string, number>;
  exitcode: number | null;
}

export interface WandbServer {
  url: string;
  runs: Map<string, RecordedRun>;
  /** `Authorization` of every request. */
  authorizations: Set<string>;
  requests: number;
  /** Outcomes of the next requests: a status or body instead of an answer, or `lost`: processed without an answer. */
  next: (number | object | 'lost' | 'answered')[];
  close(): Promise<void>;
}

/** Records the requests of wandb's client: supports the parts of its protocol that create a run and stream its history. */
export async function openWandbServer(port = 0): Promise<WandbServer> {
  const runs: WandbServer['runs'] = new Map();
  const recorded: WandbServer = {
    url: '',
    runs,
    requests: 0,
    next: [],
    authorizations: new Set(),
    close: async () => {
      http.closeAllConnections();
      http.close();
      await once(http, 'close');
    },
  };
  const http = createServer(async (request, response) => {
    recorded.requests++;
    recorded.authorizations.add(request.headers.authorization ?? '');
    const body = JSON.parse(await textOf(request));
    const fate = recorded.next.shift();
    if (typeof fate === 'number') {
      response.writeHead(fate, { location: 'http://127.0.0.1:1/' }).end('{}');
      return;
    }
    if (typeof fate === 'object') {
      response.end(JSON.stringify(fate));
      return;
    }
    const answer = request.url === '/graphql' ? upsert(runs, body) : stream(runs, request.url ?? '', body);
    if (fate === 'lost') return void request.socket.destroy();
    response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer ?? { error: 'no such run' }));
  });
  http.listen(port, '127.0.0.1');
  await once(http, 'listening');
  recorded.url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  return recorded;
}

interface Upsert {
  query: string;
  variables: Record<string, unknown> & { name: string; project: string; entity: string | null };
}

function upsert(runs: WandbServer['runs'], { query, variables }: Upsert): object {
  if (!/^mutation UpsertBucket\(/.test(query)) return { errors: [{ message: 'unknown query' }] };
  const { name, project, entity } = variables;
  if (entity === 'somebody-else')
    return { data: { upsertBucket: null }, errors: [{ message: 'permission denied' }] };
  const before = runs.get(name);
  if (before) before.upserts++;
  else runs.set(name, { variables, upserts: 1, history: [], summary: {}, exitcode: null });
  const bucket = { id: 'b1', name, project: { name: project, entity: { name: entity ?? 'acme' } } };
  return { data: { upsertBucket: { bucket, inserted: !before } } };
}

interface Stream {
  files: Record<string, { offset: number; content: string[] }>;
  complete: boolean;
  exitcode?: number;
}

function stream(
  runs: WandbServer['runs'],
  path: string,
  { files, complete, exitcode }: Stream,
): object | null {
  const [, , , , name = ''] = path.split('/').map(decodeURIComponent);
  const run = path.startsWith('/files/') && path.endsWith('/file_stream') ? runs.get(name) : undefined;
  if (!run) return null;
  const history = files['wandb-history.jsonl'];
  for (const [i, line] of (history?.content ?? []).entries())
    run.history[history!.offset + i] = JSON.parse(line);
  const summary = files['wandb-summary.json'];
  if (summary) run.summary = JSON.parse(summary.content[0]!);
  if (complete) run.exitcode = exitcode ?? null;
  return { exitcode: null, limits: {} };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
