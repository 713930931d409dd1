import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createTokenCheck } from '@graft/service/channel';
import type { Services } from '@graft/service/services';
import { registerWorker, removeWorker } from '@graft/service/workers';

// biome-ignore lint/suspicious/noExplicitAny: requests are what is tested
type Answer = (body: any, response: ServerResponse, request: IncomingMessage) => Promise<void> | void;

export interface ScriptedWorker {
  // biome-ignore lint/suspicious/noExplicitAny: requests are what is tested
  requests: any[];
  answer: Answer;
  /** Registers the worker, which already happens at the start; later calls are heartbeats. */
  register(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts a registered worker that speaks the internal protocol over real HTTP and responds as the test specifies. Other tests cover the
 * real worker end to end.
 */
export async function startScriptedWorker(
  services: Services,
  id: string,
  answer: Answer,
): Promise<ScriptedWorker> {
  const worker: ScriptedWorker = { requests: [], answer, register, close };
  const isFromApi = createTokenCheck(services, id);
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', async () => {
      if (!(await isFromApi(request.headers.authorization?.replace('Bearer ', '') ?? ''))) {
        response.writeHead(401).end();
        return;
      }
      const body = JSON.parse(Buffer.concat(chunks).toString());
      worker.requests.push(body);
      void worker.answer(body, response, request);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  async function register(): Promise<void> {
    await registerWorker(services, { id, address, hostname: 'test', pid: 1, slots: 0 });
  }
  await register();

  async function close(): Promise<void> {
    await removeWorker(services, id);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  return worker;
}

/** The workers of a test file: `start` adds one, `closeAll` closes those started since the last call. */
export function scriptedWorkers(services: () => Services) {
  const workers: ScriptedWorker[] = [];
  return {
    async start(answer: Answer): Promise<ScriptedWorker> {
      const worker = await startScriptedWorker(services(), `worker-${workers.length}`, answer);
      workers.push(worker);
      return worker;
    },
    async closeAll(): Promise<void> {
      for (const worker of workers.splice(0)) await worker.close();
    },
  };
}

/** Responds with these lines immediately. */
export function says(...lines: object[]): Answer {
  return (_body, response) => {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.end(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  };
}

export const token = (text: string) => ({ type: 'token', text });
export const done = (finish_reason = 'stop') => ({
  type: 'done',
  finish_reason,
  usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 },
});
