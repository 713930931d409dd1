import type { Access } from '../access/access.ts';
import { errorBody } from '../api-error.ts';
import { errorCodes } from '../error-codes.ts';
import type { Answer } from './document.ts';

const header = (description: string, type = 'string') => ({ description, schema: { type } });
const integer = (description: string) => header(description, 'integer');

/** Response headers, by their names in the document. */
export const headers: Record<string, object> = {
  'X-Request-Id': header('Id of the request in the server’s log.'),
  'RateLimit-Limit': integer(
    'Requests per minute allowed for the key or for the address, whichever runs out first. The same value as in OpenAI’s header x-ratelimit-limit-requests; the next two headers have such equivalents, too.',
  ),
  'RateLimit-Remaining': integer('Requests remaining in the current window.'),
  'RateLimit-Reset': integer('Seconds until the window resets.'),
  'Retry-After': integer('Seconds to wait before retrying.'),
  'X-Should-Retry': header(
    '`false` if clients should not retry automatically because the wait would be too long.',
  ),
  'WWW-Authenticate': header('Required kind of key, and its scope.'),
  Location: header('URL of the redirect.'),
  Allow: header('Methods that this path supports.'),
  ETag: header('Entity tag. Send it in If-None-Match to get 304 without a body if nothing has changed.'),
  'Content-Range': header('Range of the returned bytes, and the total size.'),
  'Repr-Digest': header('SHA-256 of the whole content, in the format of RFC 9530.'),
  'X-Content-SHA256': header('SHA-256 of the whole content, hexadecimal.'),
};

export const headersNamed = (...names: string[]): Record<string, object> =>
  Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));

const counted = ['RateLimit-Limit', 'RateLimit-Remaining', 'RateLimit-Reset'];

/** Headers of every response, errors included. */
export const headersOfAll = ['X-Request-Id', ...counted];

/** Component name of the error response of each status, and its headers beyond the common ones. */
const errors: Record<number, [name: string, ...headers: string[]]> = {
  400: ['BadRequest'],
  401: ['Unauthorized', 'WWW-Authenticate'],
  403: ['Forbidden', 'WWW-Authenticate'],
  404: ['NotFound'],
  405: ['MethodNotAllowed', 'Allow'],
  408: ['RequestTimeout'],
  412: ['PreconditionFailed'],
  413: ['ContentTooLarge'],
  415: ['UnsupportedMediaType'],
  416: ['RangeNotSatisfiable', 'Content-Range'],
  422: ['UnprocessableContent'],
  429: ['TooManyRequests', 'Retry-After', 'X-Should-Retry'],
  431: ['RequestHeaderFieldsTooLarge'],
  500: ['InternalServerError'],
  502: ['BadGateway'],
  503: ['ServiceUnavailable', 'Retry-After'],
};

/** A reference to the error response of a status; undefined if the status has none. */
export function errorAnswer(status: string): Answer | undefined {
  const error = errors[Number(status)];
  return error && { $ref: `#/components/responses/${error[0]}` };
}

/** Returns every error response, with its possible codes. */
export function errorAnswers(): Record<string, Answer> {
  const codes = Object.entries(errorCodes);
  return Object.fromEntries(
    Object.entries(errors).map(([text, [name, ...own]]) => {
      const status = Number(text);
      const mine = codes.filter(([, [usual]]) => usual === status);
      const [code, [, meaning]] = mine[0] ?? ['bad_request', [status, 'The request is malformed.']];
      const codeLines = mine.map(([each, [, what]]) => `- \`${each}\`: ${what}`);
      return [
        name,
        {
          description: codeLines.length > 0 ? `One of these codes:\n\n${codeLines.join('\n')}` : meaning,
          headers: headersNamed(...headersOfAll, ...own),
          content: {
            'application/json': {
              schema: { $ref: '#/components/schemas/Error' },
              example: errorBody(status, code, meaning, null),
            },
          },
        },
      ];
    }),
  );
}

/** Error statuses that may be returned before the route's handler runs. */
export function edgeStatuses(access: Access | undefined, hasBody: boolean): number[] {
  // Routes outside /v1, for orchestrators.
  if (access === undefined) return [405];
  const asksForKey = access === 'public' ? [] : [401, 403];
  return [400, ...asksForKey, 405, 408, ...(hasBody ? [413, 415] : []), 429, 431, 500, 503];
}
