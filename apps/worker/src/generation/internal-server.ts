import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { Readable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import {
  createTokenCheck,
  type GenerationRequest,
  GenerationRequestSchema,
  generationPath,
  generationProtocol,
  modelDefaultsOf,
  type OwnCertificate,
  protocolHeader,
  protocolOf,
  reasoningHeader,
  type ScoringRequest,
  ScoringRequestSchema,
  scoringPath,
  startReading,
  teamHeader,
} from '@graft/service/channel';
import { canReadMetrics, renderMetrics } from '@graft/service/observe';
import type { Services } from '@graft/service/services';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Share } from './fair-order.ts';
import { GeneratorBusy, type GeneratorProcess } from './generator-process.ts';
import { generatedLines, scoreLines } from './response-lines.ts';

// In bytes. The body holds the prompt, which the API limits to less.
const bodyLimit = 4 * 2 ** 20;
/** Milliseconds and connection counts: bound the cost of unauthenticated clients. */
const limits = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 10_000,
  maxConnections: 512,
  maxHeadersCount: 64,
} as const;
const readMilliseconds = 30_000;
// The API tries other workers first and retries this one after about this time.
const retryAfterSeconds = 2;

/**
 * Creates the worker's HTTP server, which only the API uses. `POST /internal/generate` and `/internal/score` follow
 * packages/service/src/channel; closing the connection cancels the work. `GET /healthz` is public, `GET /metrics` for authorised readers.
 */
export function createInternalServer(
  worker: { id: string; certificate: OwnCertificate | null },
  services: Pick<Services, 'baseModels' | 'artifacts' | 'db' | 'secrets' | 'log' | 'sql' | 'queue' | 'env'>,
  generator: GeneratorProcess,
): FastifyInstance {
  const { internalTls } = services.secrets;
  const isFromApi = createTokenCheck(services, worker.id);
  const app = Fastify({
    bodyLimit,
    serverFactory: (handler) => listenerOf(internalTls ?? worker.certificate, handler),
    forceCloseConnections: true,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, allowUnionTypes: true } },
  });

  app.setErrorHandler((error: Error & { statusCode?: number; validation?: unknown }, request, reply) => {
    const status = error.statusCode ?? 500;
    const asked = protocolOf(request.headers);
    if (error.validation && asked !== generationProtocol) return refuseProtocol(reply, asked, error.message);
    if (status >= 500) services.log.error({ err: error }, 'internal request failed');
    const message = status >= 500 ? 'The worker had an internal error.' : error.message;
    return reply
      .code(status)
      .send({ code: error.validation ? 'invalid_request' : 'request_failed', message, param: null });
  });

  app.addHook('onRequest', async (_request, reply) => {
    reply.header(protocolHeader, generationProtocol);
  });

  /** Replies 503, on which an API of any version tries another worker. */
  function refuseProtocol(reply: FastifyReply, apiProtocol: number | null, reason: string): FastifyReply {
    services.log.error(
      { apiProtocol, workerProtocol: generationProtocol, reason },
      'the API is of another version of Graft, and this worker cannot answer its completions: upgrade the older of the two',
    );
    const message = `This worker speaks protocol ${generationProtocol}; the API, ${apiProtocol ?? 'one without a number'}.`;
    return reply.code(503).send({ code: 'protocol_mismatch', message, param: null });
  }

  app.get('/healthz', async () => ({ status: 'ok' }));

  app.get('/metrics', async (request, reply) => {
    const { headers, httpVersion, socket } = request.raw;
    const reader = { headers, remoteAddress: socket.remoteAddress, httpVersion };
    if (!canReadMetrics(reader, services.env)) return reply.callNotFound();
    const { contentType, body } = await renderMetrics(services, 'worker');
    return reply.type(contentType).send(body);
  });

  // Checked before the body is read, so that callers without the token cost nothing.
  const onRequest = async (request: FastifyRequest, reply: FastifyReply) => {
    const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    const isProved = internalTls === null || (request.raw.socket as TLSSocket).authorized;
    if (!isProved || !(await isFromApi(given)))
      return reply
        .code(401)
        .send({
          code: 'invalid_token',
          message: 'The token is not for this worker, or the certificate is wrong.',
          param: null,
        });
    const asked = protocolOf(request.headers);
    // A request without a protocol number may still be compatible; the validation of its body decides.
    if (asked !== null && asked !== generationProtocol)
      return refuseProtocol(reply, asked, 'It speaks another protocol.');
    return;
  };

  /** Sends lines; closing the connection aborts the signal. */
  async function sendLines(
    request: FastifyRequest,
    reply: FastifyReply,
    linesOf: (signal: AbortSignal, share: Share) => AsyncGenerator<string>,
  ): Promise<FastifyReply> {
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    let lines: AsyncGenerator<string>;
    try {
      // Waits for the first line before sending anything, so that a full queue can be reported by a status code.
      const share = await shareOf(services, request.headers[teamHeader]);
      lines = await startReading(linesOf(gone.signal, share));
    } catch (error) {
      if (!(error instanceof GeneratorBusy)) throw error;
      return reply
        .code(503)
        .header('retry-after', retryAfterSeconds)
        .send({
          code: 'generator_busy',
          message: 'This worker answers as many requests as it can.',
          param: null,
        });
    }
    const read = readInTime(lines, () => reply.raw.destroy());
    return reply.type('application/x-ndjson').send(Readable.from(read, { objectMode: false }));
  }

  app.route<{ Body: GenerationRequest }>({
    method: 'POST',
    url: generationPath,
    schema: { body: GenerationRequestSchema },
    onRequest,
    handler: async (request, reply) => {
      const body = {
        ...request.body,
        model_defaults: modelDefaultsOf(request.headers),
        separate_reasoning: request.headers[reasoningHeader] === '1',
      };
      return await sendLines(request, reply, (signal, share) =>
        generatedLines(services, generator, body, signal, share),
      );
    },
  });

  app.route<{ Body: ScoringRequest }>({
    method: 'POST',
    url: scoringPath,
    schema: { body: ScoringRequestSchema },
    onRequest,
    handler: async (request, reply) =>
      await sendLines(request, reply, (signal, share) =>
        scoreLines(services, generator, request.body, signal, share),
      ),
  });
  return app;
}

/** Creates an HTTP or TLS server. The client certificate is checked per request, because health checks need none. */
function listenerOf(tls: OwnCertificate | null, handler: RequestListener): Server {
  const server = tls
    ? createTlsServer(
        { ...tls, requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.3' },
        handler,
      )
    : createServer(handler);
  return Object.assign(server, limits);
}

/** Calls `giveUp` when a line is not read in time: a frozen API process must not block the generator for others. */
async function* readInTime(lines: AsyncGenerator<string>, giveUp: () => void): AsyncGenerator<string> {
  for await (const line of lines) {
    const late = setTimeout(giveUp, readMilliseconds);
    try {
      yield line;
    } finally {
      clearTimeout(late);
    }
  }
}

/** The team's share by its current weight. Requests without a team, or of a deleted team, share one entry. */
async function shareOf({ db }: Pick<Services, 'db'>, header: string | string[] | undefined): Promise<Share> {
  const nobodys = { team: '', weight: 1 };
  if (typeof header !== 'string' || header === '') return nobodys;
  try {
    const team = await db.team.findFirst({ where: { id: header }, select: { weight: true } });
    return team ? { team: header, weight: team.weight } : nobodys;
  } catch {
    // While Postgres is unavailable, the generation is attempted anyway: it reports the problem better.
    return nobodys;
  }
}
