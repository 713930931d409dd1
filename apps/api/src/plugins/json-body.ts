import { PassThrough } from 'node:stream';
import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';

export const jsonBodyLimit = 1024 * 1024;
/** Levels of nesting. The deepest real bodies, tool schemas in a chat, have far fewer. */
const depthLimit = 32;

interface JsonBodyOptions {
  /** A JSON body that takes longer than this to arrive is given up. */
  bodyTimeoutMs: number;
}

/**
 * Reads application/json: UTF-8 only, 1 MB, bounded nesting, no `__proto__` keys. An empty body is no body: clients
 * send the header with `POST …/cancel`, too.
 */
export const jsonBody = fp<JsonBodyOptions>(async (app, { bodyTimeoutMs }) => {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer', bodyLimit: jsonBodyLimit },
    async (request: FastifyRequest, body: Buffer) => {
      if (body.length === 0) return undefined;
      const text = decode(body);
      if (depth(text) > depthLimit) {
        throw new ApiError('json_too_deep', `The body nests deeper than ${depthLimit} levels.`);
      }
      return await new Promise<unknown>((resolve, reject) => {
        parse(request, text, (error, value) => {
          if (error) reject(new ApiError('invalid_json', `The body is not valid JSON: ${error.message}`));
          else resolve(value);
        });
      });
    },
  );

  app.addHook('preParsing', async (request, reply, payload) => {
    if (!request.headers['content-type']?.startsWith('application/json')) return payload;
    // Through a stream of its own: ending the request itself would close the socket before the 408 is written.
    const body = new PassThrough();
    const timer = setTimeout(() => {
      body.destroy(new ApiError('request_timeout', 'The body did not arrive in time.'));
    }, bodyTimeoutMs);
    body.once('close', () => clearTimeout(timer));
    // When a body is refused unread, nobody else listens for its errors.
    body.on('error', () => {});
    payload.once('error', (error) => body.destroy(error));
    payload.pipe(body);
    reply.raw.once('close', () => body.destroy());
    reply.raw.once('finish', () => {
      // What was not read is dropped, so that the connection can carry the next request.
      payload.unpipe(body);
      payload.resume();
      body.destroy();
    });
    return body;
  });
});

function decode(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw new ApiError('invalid_json', 'The body is not valid UTF-8.');
  }
}

/** Deepest nesting of objects and arrays, found without parsing. */
export function depth(json: string): number {
  let level = 0;
  let deepest = 0;
  let inText = false;
  for (let i = 0; i < json.length; i++) {
    const c = json[i];
    if (inText) {
      if (c === '\\') i++;
      else if (c === '"') inText = false;
    } else if (c === '"') inText = true;
    else if (c === '{' || c === '[') deepest = Math.max(deepest, ++level);
    else if (c === '}' || c === ']') level--;
  }
  return deepest;
}
