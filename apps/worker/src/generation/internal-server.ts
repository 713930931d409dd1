import { createHash, timingSafeEqual } from 'node:crypto';
import { Readable } from 'node:stream';
import { GraftError } from '@graft/peft-core/config';
import { isLastingModelFault, type Services } from '@graft/service';
import Fastify, { type FastifyInstance } from 'fastify';
import { type GenerationEvent, ServerBusy, type ServerProcess } from './generator-process.ts';
import type { ServerRequest } from './generator-protocol.ts';
import { faultOf } from '../processes/child-fault.ts';
import type { TrainerFault } from '../training/trainer-protocol.ts';

/** Body of `POST /internal/generate`. */
interface GenerateBody {
  base_model: string;
  adapter: { version_id: string; digest: string; base_digest: string } | null;
  messages?: { role: string; content: string }[];
  prompt?: string;
  max_tokens?: number | null;
  temperature?: number | null;
  top_p?: number | null;
  stop?: string[];
  seed?: number | null;
}

// The API checks requests against its public schema; this one only keeps a wrong caller out of the engine.
const generateBody = {
  type: 'object',
  required: ['base_model', 'adapter'],
  additionalProperties: false,
  oneOf: [{ required: ['messages'] }, { required: ['prompt'] }],
  properties: {
    base_model: { type: 'string' },
    adapter: {
      type: ['object', 'null'],
      required: ['version_id', 'digest', 'base_digest'],
      properties: {
        version_id: { type: 'string' },
        digest: { type: 'string', pattern: '^[0-9a-f]{64}$' },
        base_digest: { type: 'string' },
      },
    },
    messages: {
      type: 'array',
      minItems: 1,
      items: {
        type: 'object',
        required: ['role', 'content'],
        properties: { role: { type: 'string' }, content: { type: 'string' } },
      },
    },
    prompt: { type: 'string' },
    max_tokens: { type: ['integer', 'null'], minimum: 1 },
    temperature: { type: ['number', 'null'], minimum: 0 },
    top_p: { type: ['number', 'null'], exclusiveMinimum: 0, maximum: 1 },
    stop: { type: 'array', items: { type: 'string' } },
    seed: { type: ['integer', 'null'] },
  },
} as const;

// Prompts come in the body; the API has its own, smaller limit.
const bodyLimit = 4 * 2 ** 20;
// A request that waits is tried again by the API about then.
const retryAfterSeconds = 2;

/**
 * The worker's HTTP server, for the API only. `POST /internal/generate` streams one JSON object per line; a client
 * that hangs up ends its generation. `GET /healthz` answers whoever asks.
 */
export function createInternalServer(
  services: Pick<Services, 'baseModels' | 'artifacts' | 'secrets' | 'log'>,
  server: ServerProcess,
): FastifyInstance {
  const app = Fastify({
    bodyLimit,
    requestTimeout: 30_000,
    forceCloseConnections: true,
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, allowUnionTypes: true } },
  });
  const token = digestOf(services.secrets.internalToken);

  app.setErrorHandler((error: Error & { statusCode?: number; validation?: unknown }, _request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) services.log.error({ err: error }, 'internal request failed');
    const message = status >= 500 ? 'The worker had a fault of its own.' : error.message;
    return reply
      .code(status)
      .send({ code: error.validation ? 'invalid_request' : 'request_failed', message, param: null });
  });

  app.get('/healthz', async () => ({ status: 'ok' }));

  app.route<{ Body: GenerateBody }>({
    method: 'POST',
    url: '/internal/generate',
    schema: { body: generateBody },
    // Before the body is read: a stranger costs nothing.
    onRequest: async (request, reply) => {
      const given = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
      if (timingSafeEqual(digestOf(given), token)) return;
      return reply
        .code(401)
        .send({ code: 'invalid_token', message: 'The internal token is wrong.', param: null });
    },
    handler: async (request, reply) => {
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      const lines = answer(services, server, request.body, gone.signal);
      let first: IteratorResult<string, void>;
      try {
        // Nothing is sent before the first line, so that a full queue is a status.
        first = await lines.next();
      } catch (error) {
        if (!(error instanceof ServerBusy)) throw error;
        return reply.code(503).header('retry-after', retryAfterSeconds).send({
          code: 'server_busy',
          message: 'This worker answers as many requests as it can.',
          param: null,
        });
      }
      return reply
        .type('application/x-ndjson')
        .send(Readable.from(prepend(first, lines), { objectMode: false }));
    },
  });
  return app;
}

/** The lines of one answer. Throws `ServerBusy` before the first. */
async function* answer(
  services: Pick<Services, 'baseModels' | 'artifacts' | 'log'>,
  server: ServerProcess,
  body: GenerateBody,
  signal: AbortSignal,
): AsyncGenerator<string, void> {
  try {
    const request = await locate(services, body, signal);
    for await (const event of server.generate(request, signal)) {
      if (event.type === 'failed') logFault(event.fault, services.log);
      yield lineOf(event);
    }
  } catch (error) {
    if (error instanceof ServerBusy || signal.aborted) throw error;
    const fault = faultOf(error, {
      code: 'generation_failed',
      message: 'The worker had a fault of its own.',
    });
    logFault(fault, services.log);
    yield lineOf({ type: 'failed', fault });
  }
}

/** A user's fault by its code alone: its message may quote the prompt. */
function logFault({ code, message, stack, fault }: TrainerFault, log: Services['log']): void {
  if (fault === 'user') log.info({ code }, 'generation failed');
  else log.warn({ code, err: Object.assign(new Error(message), { stack }) }, 'generation failed');
}

/** Finds base model and adapter on this machine. Throws GraftError. */
async function locate(
  services: Pick<Services, 'baseModels' | 'artifacts'>,
  body: GenerateBody,
  signal: AbortSignal,
): Promise<ServerRequest> {
  const base = await services.baseModels.get(body.base_model, { signal });
  if (!base) {
    throw new GraftError(
      'model_not_found',
      `The base model ${body.base_model} is not available on this worker.`,
      {
        param: 'model',
      },
    );
  }
  if (body.adapter && (await base.digest()) !== body.adapter.base_digest) {
    throw new GraftError(
      'base_model_changed',
      `The weights of ${body.base_model} on this worker are not those that the adapter was trained on.`,
      { param: 'model' },
    );
  }
  const { messages, prompt, max_tokens, temperature, top_p, stop, seed } = body;
  return {
    baseModel: base.id,
    basePath: base.path,
    digestCache: base.digestCache,
    adapterDir: body.adapter && (await services.artifacts.localFolder(body.adapter.digest)),
    options: {
      ...(messages
        ? { messages: messages as NonNullable<ServerRequest['options']['messages']> }
        : { prompt: prompt ?? '' }),
      max_tokens: max_tokens ?? null,
      ...(temperature == null ? {} : { temperature }),
      ...(top_p == null ? {} : { top_p }),
      ...(stop ? { stop } : {}),
      seed: seed ?? null,
    },
  };
}

function lineOf(event: GenerationEvent): string {
  return `${JSON.stringify(wireOf(event))}\n`;
}

function wireOf(event: GenerationEvent): object {
  switch (event.type) {
    case 'token':
      return { type: 'token', text: event.text };
    case 'done': {
      const { promptTokens: prompt_tokens, completionTokens: completion_tokens } = event;
      const usage = { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
      return { type: 'done', finish_reason: event.finishReason, usage };
    }
    case 'failed': {
      const { code, message, param } = event.fault;
      return { type: 'error', status: statusOf(event.fault), code, message, param };
    }
  }
}

function statusOf({ code, fault }: TrainerFault): number {
  if (code === 'server_lost' || code === 'server_closing') return 503;
  // Clients try a 500 again, which mends no broken file.
  if (isLastingModelFault(code)) return 400;
  if (fault === 'system') return 500;
  return code === 'model_not_found' ? 404 : 400;
}

async function* prepend(
  first: IteratorResult<string, void>,
  rest: AsyncGenerator<string, void>,
): AsyncGenerator<string, void> {
  try {
    if (first.done) return;
    yield first.value;
    yield* rest;
  } finally {
    await rest.return();
  }
}

// Of equal length whatever was sent, which timingSafeEqual demands.
function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
