import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { Readable } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { GraftError } from '@graft/peft-core/config';
import {
  admitBaseModel,
  canReadMetrics,
  createTokenCheck,
  encodeLine,
  type GenerationLine,
  type GenerationRequest,
  GenerationRequestSchema,
  generationPath,
  generationProtocol,
  isLastingModelFault,
  modelDefaultsOf,
  type OwnCertificate,
  protocolHeader,
  protocolOf,
  reasoningHeader,
  renderMetrics,
  type Services,
  startReading,
  teamHeader,
} from '@graft/service';
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { type ChildFault, faultOf, logFault } from '../processes/child-fault.ts';
import type { Share } from './fair-order.ts';
import { GeneratorBusy, type GeneratorEvent, type GeneratorProcess } from './generator-process.ts';
import type { GeneratorRequest } from './generator-protocol.ts';

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
 * Creates the worker's HTTP server, which only the API uses. `POST /internal/generate` follows packages/service/src/channel; closing
 * the connection cancels the generation. `GET /healthz` is public, `GET /metrics` for authorised readers.
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

  app.route<{ Body: GenerationRequest }>({
    method: 'POST',
    url: generationPath,
    schema: { body: GenerationRequestSchema },
    // Checked before the body is read, so that callers without the token cost nothing.
    onRequest: async (request, reply) => {
      const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
      const isProved = internalTls === null || (request.raw.socket as TLSSocket).authorized;
      if (!isProved || !(await isFromApi(given)))
        return reply.code(401).send({
          code: 'invalid_token',
          message: 'The token is not for this worker, or the certificate is wrong.',
          param: null,
        });
      const asked = protocolOf(request.headers);
      // A request without a protocol number may still be compatible; the validation of its body decides.
      if (asked !== null && asked !== generationProtocol)
        return refuseProtocol(reply, asked, 'It speaks another protocol.');
      return;
    },
    handler: async (request, reply) => {
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      let lines: AsyncGenerator<string>;
      try {
        // Waits for the first line before sending anything, so that a full queue can be reported by a status code.
        const share = await shareOf(services, request.headers[teamHeader]);
        const body = {
          ...request.body,
          model_defaults: modelDefaultsOf(request.headers),
          separate_reasoning: request.headers[reasoningHeader] === '1',
        };
        lines = await startReading(answer(services, generator, body, gone.signal, share));
      } catch (error) {
        if (!(error instanceof GeneratorBusy)) throw error;
        return reply.code(503).header('retry-after', retryAfterSeconds).send({
          code: 'generator_busy',
          message: 'This worker answers as many requests as it can.',
          param: null,
        });
      }
      const read = readInTime(lines, () => reply.raw.destroy());
      return reply.type('application/x-ndjson').send(Readable.from(read, { objectMode: false }));
    },
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

/** Yields the lines of one answer. Throws `GeneratorBusy`, but only before the first line. */
async function* answer(
  services: Pick<Services, 'baseModels' | 'artifacts' | 'db' | 'log'>,
  generator: GeneratorProcess,
  body: GenerationRequest,
  signal: AbortSignal,
  share: Share,
): AsyncGenerator<string, void> {
  try {
    const request = await locate(services, body, signal);
    for await (const event of generator.generate(request, signal, share)) {
      if (event.type === 'failed') logFault('generation failed', event.fault, services.log);
      yield encodeLine(lineOf(event));
    }
  } catch (error) {
    if (error instanceof GeneratorBusy || signal.aborted) throw error;
    const fault = faultOf(error, {
      code: 'generation_failed',
      message: 'The worker had an internal error.',
    });
    logFault('generation failed', fault, services.log);
    yield encodeLine(lineOf({ type: 'failed', fault, promptTokens: 0, completionTokens: 0 }));
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

/** Resolves the base model and the adapter to paths on this machine. Throws GraftError. */
async function locate(
  services: Pick<Services, 'baseModels' | 'artifacts' | 'db' | 'log'>,
  body: GenerationRequest,
  signal: AbortSignal,
): Promise<GeneratorRequest> {
  const base = await services.baseModels.get(body.base_model, { signal });
  if (!base) {
    throw new GraftError(
      'model_not_found',
      `The base model ${body.base_model} is not available on this worker.`,
      { param: 'model' },
    );
  }
  const digest = await admitBaseModel(services, base);
  if (body.adapter && digest !== body.adapter.base_digest) {
    throw new GraftError(
      'base_model_changed',
      `The weights of ${body.base_model} on this worker are not those that the adapter was trained on.`,
      { param: 'model' },
    );
  }
  const { max_tokens, temperature, top_p, stop, seed, logprobs = null } = body;
  const { top_k = 0, min_p = 0, repetition_penalty = 1, model_defaults = [] } = body;
  const { allow_special_tokens = false, separate_reasoning = false } = body;
  const { logit_bias = {}, frequency_penalty = 0, presence_penalty = 0 } = body;
  const text = 'messages' in body ? conversationOf(body) : { prompt: body.prompt };
  return {
    baseModel: base.id,
    basePath: base.path,
    digestCache: base.digestCache,
    adapterDir:
      body.adapter &&
      (await services.artifacts.localFolder(body.adapter.artifact, { afresh: body.adapter.suspect })),
    options: {
      ...text,
      allow_special_tokens,
      max_tokens,
      temperature,
      top_p,
      stop,
      seed,
      logprobs,
      top_k,
      min_p,
      repetition_penalty,
      model_defaults,
      logit_bias,
      frequency_penalty,
      presence_penalty,
      separate_reasoning,
      ...(body.adapter ? { adapterName: body.adapter.version_id } : {}),
    },
  };
}

function conversationOf({
  messages,
  chat_template_kwargs = {},
  tools = [],
  tool_choice = 'auto',
  parallel_tool_calls = true,
  response_format,
}: Extract<GenerationRequest, { messages: unknown }>) {
  const demands = { tools, tool_choice, parallel_tool_calls };
  return { messages, chat_template_kwargs, ...demands, ...(response_format ? { response_format } : {}) };
}

function lineOf(event: GeneratorEvent): GenerationLine {
  switch (event.type) {
    case 'token': {
      const { text, reasoning, calls, likely } = event;
      const { promptTokens: prompt_tokens, completionTokens: completion_tokens } = event;
      return {
        type: 'token',
        text,
        ...(reasoning ? { reasoning } : {}),
        ...(calls ? { calls } : {}),
        ...(likely ? { likely } : {}),
        prompt_tokens,
        completion_tokens,
      };
    }
    case 'done': {
      const { promptTokens: prompt_tokens, completionTokens: completion_tokens, cachedTokens } = event;
      const total_tokens = prompt_tokens + completion_tokens;
      const prompt_tokens_details = { cached_tokens: cachedTokens };
      const usage = { prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details };
      return { type: 'done', finish_reason: event.finishReason, usage };
    }
    case 'failed': {
      const { code, message, param } = event.fault;
      const { promptTokens: prompt_tokens, completionTokens: completion_tokens } = event;
      const status = statusOf(event.fault);
      return { type: 'error', status, code, message, param, prompt_tokens, completion_tokens };
    }
  }
}

function statusOf({ code, fault }: ChildFault): number {
  if (code === 'generator_lost' || code === 'generator_closing') return 503;
  // The adapter's files are lost everywhere: 410 Gone.
  if (code === 'artifact_corrupt') return 410;
  // Not 500: clients would retry, which does not repair a broken file.
  if (isLastingModelFault(code)) return 400;
  // This machine's copy of the model, disk, device or access to the store is at fault. Another worker may succeed.
  if (fault === 'environment') return 503;
  if (fault === 'system') return 500;
  return code === 'model_not_found' ? 404 : 400;
}
