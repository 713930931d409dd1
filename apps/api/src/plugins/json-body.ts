import { jsonExtent, jsonFault, parseJson } from '@graft/peft-core/config';
import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';

export const jsonBodyLimit = 1024 * 1024;
/** Maximum nesting. The deepest real bodies, tool schemas in a chat, have far fewer levels. */
const depthLimit = 32;
/** Maximum values in a body, since every value costs processing time. A chat of 4,096 messages has half as many. */
const valueLimit = 24_000;

/**
 * Reads application/json: UTF-8 only, 1 MB, bounded nesting, no `__proto__` keys. Treats an empty body as no body: clients also send the
 * header with `POST …/cancel`. Refuses compressed bodies of any type, since the limits count the bytes received.
 */
export const jsonBody = fp(async (app) => {
  app.addHook('onRequest', async ({ headers }) => {
    const encoding = headers['content-encoding'];
    if (encoding === undefined || /^\s*(?:identity\s*)?$/i.test(encoding)) return;
    throw new ApiError(
      'unsupported_media_type',
      `Content-Encoding '${encoding.slice(0, 100)}' is not supported: send the body without compression, with no Content-Encoding header or with 'identity'.`,
      { headers: { 'accept-encoding': 'identity' } },
    );
  });
  // The limit of a route that streams a form is far above what may be parsed.
  app.addHook('preParsing', async ({ routeOptions, headers }, _reply, payload) => {
    const type = headers['content-type'] ?? '';
    if (routeOptions.config.longBody && !/^\s*multipart\//i.test(type)) {
      throw new ApiError('unsupported_media_type', 'Send the file as multipart/form-data.');
    }
    return payload;
  });
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser(
    // Directories send the second type (routes/scim).
    ['application/json', 'application/scim+json'],
    { parseAs: 'buffer', bodyLimit: jsonBodyLimit },
    async (request: FastifyRequest, body: Buffer) => {
      if (body.length === 0) return undefined;
      await request.server.turnToParse?.(request, body.length);
      const text = decode(body);
      const { depth, values } = jsonExtent(text);
      if (depth > depthLimit) {
        throw new ApiError('json_too_deep', `The body nests deeper than ${depthLimit} levels.`);
      }
      if (values > valueLimit) {
        throw new ApiError('json_too_large', `The body holds more than ${valueLimit} values.`);
      }
      return await new Promise<unknown>((resolve, reject) => {
        parse(request, text, (error, value) => {
          if (error)
            reject(
              new ApiError(
                'invalid_json',
                `The body is not valid JSON: ${jsonFault(text) ?? 'it names a prototype'}.`,
              ),
            );
          // `value` has been checked for the names of prototypes.
          else resolve(parseJson(text, '', value));
        });
      });
    },
  );
});

function decode(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw new ApiError('invalid_json', 'The body is not valid UTF-8.');
  }
}
