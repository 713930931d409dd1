import { AsyncLocalStorage } from 'node:async_hooks';
import { isDatabaseUnavailable, withReaderConnections, withSystemScope } from '@graft/service/database';
import type { JobState } from '@graft/service/jobs';
import type { Services } from '@graft/service/services';
import type { FastifyRequest, InjectOptions } from 'fastify';
import fp from 'fastify-plugin';
import { hangUp } from '../serving/answer.ts';
import type { McpCaller, McpHandler } from './mcp-server.ts';
import { type Ask, createTools, type Tool, type ToolContext, type ToolRoute } from './tools.ts';

/** Polls the jobs that agents wait for, all together. */
interface JobWatch {
  /** Resolves when the job has ended or is paused, after `ms`, or when `signal` fires, whichever comes first. */
  waitForEnd(job: { teamId: string; id: string }, ms: number, signal: AbortSignal): Promise<void>;
  close(): void;
}

const over: JobState[] = ['succeeded', 'failed', 'cancelled', 'paused'];
const pollMs = 1000;
const maxPerQuery = 500;

/**
 * Polls the jobs of all waiting agents together every second: a thousand agents cost as many statements per second as one. Agents keep
 * waiting while Postgres is unavailable.
 */
function createJobWatch({ db, log }: Pick<Services, 'db' | 'log'>): JobWatch {
  const waiting = new Set<{ job: { teamId: string; id: string }; end(): void }>();
  let timer: NodeJS.Timeout | null = null;

  async function look(): Promise<void> {
    const all = [...waiting];
    try {
      for (let from = 0; from < all.length; from += maxPerQuery) {
        const some = all.slice(from, from + maxPerQuery);
        const jobs = some.map(({ job: { teamId, id } }) => ({ teamId, id }));
        const where = { OR: jobs, state: { in: over } };
        const found = await withReaderConnections(() =>
          withSystemScope(() => db.job.findMany({ where, select: { id: true } })),
        );
        const ids = new Set(found.map(({ id }) => id));
        for (const each of some) if (ids.has(each.job.id)) each.end();
      }
    } catch (error) {
      if (!isDatabaseUnavailable(error)) log.error({ err: error }, 'the states of jobs could not be read');
    }
    timer = null;
    schedule();
  }

  function schedule(): void {
    if (waiting.size > 0) timer ??= setTimeout(look, pollMs);
  }

  return {
    waitForEnd: async (job, ms, signal) =>
      await new Promise((resolve) => {
        if (signal.aborted) return resolve();
        const end = () => {
          clearTimeout(late);
          signal.removeEventListener('abort', end);
          waiting.delete(each);
          resolve();
        };
        const each = { job, end };
        const late = setTimeout(end, ms);
        signal.addEventListener('abort', end, { once: true });
        waiting.add(each);
        schedule();
      }),
    close() {
      if (timer) clearTimeout(timer);
      for (const { end } of [...waiting]) end();
    },
  };
}

const message = (description: string, example: object) => ({
  type: 'object',
  additionalProperties: true,
  description,
  examples: [{ jsonrpc: '2.0', ...example }],
});

/**
 * POST /mcp: the Model Context Protocol over HTTP, without sessions. Each tool requests a route of the API with the caller's own key, so
 * that scopes, roles, limits and messages are those of the route. Must be registered before the routes that become tools.
 */
export const mcpRoutes = fp(async (app) => {
  const known: ToolRoute[] = [];
  /** Set while a tool makes a request: fires when the agent disconnects. */
  const agentGone = new AsyncLocalStorage<AbortSignal>();
  // Looks to the route as if the tool's own client had disconnected; every route that waits handles that.
  app.addHook('onRequest', (_request, reply, done) => {
    const signal = agentGone.getStore();
    const destroy = () => void reply.raw.destroy();
    signal?.addEventListener('abort', destroy, { once: true });
    if (signal) reply.raw.once('close', () => signal.removeEventListener('abort', destroy));
    done();
  });
  const watch = createJobWatch(app.services);
  app.addHook('preClose', async () => watch.close());
  let tools: Tool[] | null = null;
  app.addHook('onRoute', ({ method, url, config, schema = {} }) => {
    for (const each of [method].flat()) {
      const { params, querystring, body } = schema;
      known.push({
        method: each,
        path: url,
        access: config!.access!,
        summary: schema.summary ?? '',
        description: schema.description ?? '',
        input: { params, querystring, body },
      });
    }
  });
  app.addHook('onReady', async () => {
    tools = createTools(known, (id) => app.getSchema(id));
  });

  /** Loaded on the first request of an agent, so that an API without agents starts a quarter of a second sooner. */
  let handler: Promise<McpHandler> | null = null;
  app.addHook('onClose', async () => await (await handler)?.close());

  app.post(
    '/mcp',
    {
      config: { access: 'anyone' },
      schema: {
        tags: ['Agents'],
        summary: 'Send a Model Context Protocol message',
        description:
          'MCP server for agents: streamable HTTP without sessions. Its tools are those routes of models, files, fine-tuning jobs, adapters and chat that the key may use.',
        body: message('JSON-RPC 2.0 message.', { id: 1, method: 'tools/list' }),
        response: {
          200: message('JSON-RPC 2.0 response.', { id: 1, result: { tools: [] } }),
          202: { type: 'null', description: 'The notification was accepted.' },
          ...Object.fromEntries(
            [400, 406, 415].map((status) => [
              status,
              message('Error of the protocol or of the API.', {
                id: null,
                error: { code: -32600, message: 'Invalid request' },
              }),
            ]),
          ),
        },
      },
    },
    async (request, reply) => {
      // A tool waits for the requests that it makes, and each of them takes its own turn.
      reply.endTurn();
      const gone = hangUp(reply);
      const means: ToolContext = {
        ask: askAs(request, gone),
        waitForEnd: async (id, ms) => await watch.waitForEnd({ teamId: request.caller.teamId, id }, ms, gone),
      };
      const caller: McpCaller = { identity: request.caller, means };
      const headers = Object.entries(request.headers).flatMap(([name, value]): [string, string][] =>
        typeof value === 'string' && name !== 'authorization' ? [[name, value]] : [],
      );
      const url = new URL(request.url, 'http://graft.invalid');
      handler ??= import('./mcp-server.ts').then(({ openMcpHandler }) => openMcpHandler(tools!));
      const answer = await (await handler).fetch(new Request(url, { method: 'POST', headers }), {
        parsedBody: request.body,
        authInfo: { token: '', clientId: '', scopes: [], extra: { caller } },
      });
      for (const [name, value] of answer.headers) if (name === 'content-type') reply.header(name, value);
      return await reply.code(answer.status as 200).send(await answer.text());
    },
  );

  /** Makes requests within the process; each runs all hooks of a request. */
  function askAs({ headers, ip, id }: FastifyRequest, gone: AbortSignal): Ask {
    const { authorization, cookie } = headers;
    // The session's original request was already checked to come from its own page.
    const who = authorization
      ? { authorization }
      : {
          cookie,
          'x-graft-csrf': '1',
          ...(headers['graft-team'] ? { 'graft-team': headers['graft-team'] } : {}),
        };
    return async ({ method, url, body }) => {
      const form = body instanceof FormData ? new Response(body) : null;
      const payload = form ? Buffer.from(await form.arrayBuffer()) : body;
      gone.throwIfAborted();
      const request: InjectOptions = {
        method: method as InjectOptions['method'] & string,
        url,
        remoteAddress: ip,
        headers: {
          ...who,
          'x-request-id': id,
          ...(form ? { 'content-type': form.headers.get('content-type') ?? '' } : {}),
        },
        ...(payload ? { payload } : {}),
      };
      const { statusCode, body: text } = await agentGone.run(gone, async () => await app.inject(request));
      return { status: statusCode, text };
    };
  }
});
