import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifySchema } from 'fastify';
import fp from 'fastify-plugin';
import { errorCodes } from '../error-codes.ts';

/** OpenAPI 3.1, from the schemas that validate: a page at /docs, JSON at /docs/json. Registered before the routes. */
export const openApi = fp(async (app) => {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Graft', version: '0.1.0', description: description() },
      servers: [{ url: '/' }],
      security: [{ apiKey: [] }],
      components: { securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } } },
    },
    transform: ({ schema, url }) => nameWildcard(schema, url),
    refResolver: { buildLocalReference: (schema) => String(schema.$id) },
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    // Other than answers of data, this page may run its own scripts and call this server, and no other.
    staticCSP:
      "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
  });
});

/** A path ends in a wildcard where an id may hold slashes; OpenAPI knows only names. */
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
    'Fine-tuning of language models with PEFT on your own machines, in the wire format of the OpenAI API.',
    '',
    'Errors are `{"error": {"message", "type", "param", "code"}}`, every key present; `code` is stable:',
    '',
    '| code | status | meaning |',
    '| --- | --- | --- |',
    ...rows,
  ].join('\n');
}
