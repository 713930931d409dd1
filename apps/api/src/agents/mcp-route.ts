import { AsyncLocalStorage } from 'node:async_hooks';
import type { FastifyRequest, InjectOptions } from 'fastify';
import fp from 'fastify-plugin';
import { hangUp } from '../serving/answer.ts';
import { createJobWatch } from './job-watch.ts';
import type { McpCaller, McpHandler } from './mcp-server.ts';
import { type Ask, createTools, type Tool, type ToolMeans, type ToolRoute } from './tools.ts';

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
      const means: ToolMeans = {
        ask: askAs(request, gone),
        untilOver: async (id, ms) => await watch.untilOver({ teamId: request.caller.teamId, id }, ms, gone),
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
