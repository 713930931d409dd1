import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import { ErrorSchema } from '@graft/wire/error';
import { ReceiptSchema, ref } from '@graft/wire/schema';
import type { FastifySchema } from 'fastify';
import fp from 'fastify-plugin';
import { guardOfAnswer, receiptStatus } from '../access/receipts.ts';
import { errorCodes } from '../error-codes.ts';
import { completeDocument } from './complete-document.ts';
import type { OpenApiDocument } from './document.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** OpenAPI description of a body that the route reads itself. */
    documentedBody?: object;
    /** The response may also be server-sent events; the schema of their data. */
    streams?: object;
  }
}

/** Serves OpenAPI 3.1, built from the validation schemas: a page at /docs, JSON at /docs/json. Must be registered before the routes. */
export const openApi = fp(async (app) => {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Graft', version: '1.0.0', description: description() },
      servers: [{ url: '/' }],
      security: [{ apiKey: [] }],
      components: { securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } } },
    },
    transform: ({ schema, url, route }) => {
      const named = nameWildcard(schema, url);
      const { documentedBody: body, streams, access } = route.config ?? {};
      const documented = withBytes(
        streams ? withStream(named.schema, streams) : named.schema,
        url,
        route.method === 'GET',
      );
      // Documents which key a route accepts, for readers and for the tests that try every route.
      const accessExtension = access && { 'x-graft-access': access };
      const whole = guardOfAnswer(access) === null ? documented : withReceipt(documented);
      return { ...named, schema: { ...whole, ...(body && { body }), ...accessExtension } };
    },
    transformObject: (document) =>
      'openapiObject' in document
        ? (completeDocument(document.openapiObject as unknown as OpenApiDocument) as object)
        : document.swaggerObject,
    refResolver: { buildLocalReference: (schema) => String(schema.$id) },
  });
  let document: Buffer | null = null;
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    uiHooks: {
      // Shares one copy between all requests, even those whose clients do not read it.
      preHandler: (request, reply, next) => {
        if (request.routeOptions.url !== '/docs/json') return next();
        document ??= Buffer.from(JSON.stringify(app.swagger()));
        reply.type('application/json; charset=utf-8').send(document);
      },
    },
    // Unlike data responses, this page may run its own scripts and call this server, but no other.
    staticCSP:
      "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
  });
});

function withStream(schema: FastifySchema, event: object): FastifySchema {
  const events = {
    // OpenAPI 3.1 has no schema for a stream of events, so the event's schema is an extension.
    'text/event-stream': { schema: { type: 'string', 'x-graft-event': event } },
  };
  const answers = schema.response as Record<string, object>;
  const response =
    200 in answers
      ? withContentTypes(answers, 'The whole response, or a stream of events.', events)
      : { ...answers, 200: { description: 'Stream of events.', content: events } };
  return { ...schema, response };
}

/** Documents the response to a key that may not read what the route returns. */
function withReceipt(schema: FastifySchema): FastifySchema {
  const description =
    'The request succeeded, but the key lacks the scope to read the response (x-graft-access.answer).';
  const receipt = ref(ReceiptSchema, { description });
  return { ...schema, response: { ...(schema.response as object), [receiptStatus]: receipt } };
}

/** Adds other content types to the successful response of a route. */
function withContentTypes(answers: Record<string, object>, description: string, others: object) {
  const content = { 'application/json': { schema: answers[200] }, ...others };
  return { ...answers, 200: { description, content } };
}

/** The response to If-None-Match with the ETag of an earlier response. */
const unchanged = {
  description: 'Unchanged since the response whose ETag If-None-Match contains.',
  type: 'null',
};

/** Documents downloads, for a route without a JSON schema, and 304 for GET requests. */
function withBytes(schema: FastifySchema, url: string, isRead: boolean): FastifySchema {
  const own = schema.response as Record<string, object> | undefined;
  // The plugin would apply `produces` to errors too.
  const { produces = [], ...rest } = schema;
  const types = produces.length > 0 ? produces : ['application/octet-stream'];
  const content = Object.fromEntries(types.map((type) => [type, { schema: { type: 'string' } }]));
  const bytes = { description: 'File content.', content };
  const answers = !own
    ? { 200: bytes, 206: bytes, 404: ref(ErrorSchema), 416: ref(ErrorSchema) }
    : produces.length > 0
      ? withContentTypes(own, 'The response in the requested format.', content)
      : own;
  const maybe = isRead && url.startsWith('/v1/') ? { 304: unchanged } : {};
  return { ...rest, response: { ...maybe, ...answers } };
}

/** Names the wildcard of a path whose id may contain slashes, since OpenAPI has only named parameters. */
function nameWildcard(
  schema: FastifySchema | undefined,
  url: string,
): { schema: FastifySchema; url: string } {
  const params = schema?.params as { properties?: Record<string, object> } | undefined;
  const wildcard = params?.properties?.['*'];
  if (!wildcard) return { schema: schema ?? {}, url };
  const named = { type: 'object', properties: { model: wildcard }, required: ['model'] };
  return { schema: { ...schema, params: named }, url: url.replace('*', ':model') };
}

function description(): string {
  const rows = Object.entries(errorCodes).map(
    ([code, [status, meaning]]) => `| \`${code}\` | ${status} | ${meaning} |`,
  );
  return [
    'Fine-tuning of language models with PEFT methods on your own machines, compatible with the OpenAI API.',
    '',
    'Errors have the form `{"error": {"message", "type", "param", "code"}}`, always with all keys. `code` is stable:',
    '',
    '| code | status | meaning |',
    '| --- | --- | --- |',
    ...rows,
  ].join('\n');
}
