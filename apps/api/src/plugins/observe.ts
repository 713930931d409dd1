import type { Span } from '@graft/service/observe';
import {
  canReadMetrics,
  contextOf,
  endSpan,
  inSpan,
  instruments,
  renderMetrics,
  SpanKind,
  startSpan,
} from '@graft/service/observe';
import type { FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Span of this request; has no effect if tracing is off. */
    span: Span | null;
  }
}

/** Requests without a tenant: no span, and not in the histogram. */
const unobserved = new Set(['/metrics', '/healthz', '/readyz']);

/**
 * Times every request by route and status, opens its span (as a child of the request's `traceparent`), and serves GET /metrics to
 * authorised readers. For others that path does not exist.
 */
export const observe = fp(async (app) => {
  const { services } = app;
  app.decorateRequest('span', null);

  app.addHook('onRequest', (request, _reply, done) => {
    if (unobserved.has(routeOf(request))) return done();
    const { traceparent } = request.headers;
    const span = startSpan(`${request.method} ${routeOf(request)}`, {
      parent: contextOf(typeof traceparent === 'string' ? traceparent : null),
      kind: SpanKind.SERVER,
      attributes: {
        'http.request.method': request.method,
        'http.route': routeOf(request),
        'graft.request_id': request.id,
      },
    });
    request.span = span;
    inSpan(span, done);
  });

  app.addHook('onResponse', async (request, reply) => {
    const route = routeOf(request);
    if (unobserved.has(route)) return;
    const { statusCode } = reply;
    // Unknown paths may be requested with any method: one series for all methods.
    const method = route === 'unknown' ? 'any' : request.method;
    instruments.httpSeconds.observe({ method, route, status: String(statusCode) }, reply.elapsedTime / 1000);
    if (!request.span) return;
    request.span.setAttribute('http.response.status_code', statusCode);
    if (request.caller) request.span.setAttribute('graft.team_id', request.caller.teamId);
    endSpan(request.span, statusCode >= 500 ? `answered ${statusCode}` : undefined);
  });

  app.get('/metrics', { config: { unmetered: true }, schema: { hide: true } }, async (request, reply) => {
    const { headers, httpVersion, socket } = request.raw;
    const reader = { headers, remoteAddress: socket.remoteAddress, httpVersion };
    if (!canReadMetrics(reader, services.env)) {
      throw new ApiError('unknown_url', 'Unknown request URL: GET /metrics.');
    }
    const { contentType, body } = await renderMetrics(services, 'api');
    return reply.type(contentType).header('cache-control', 'no-store').send(body);
  });
});

/** The route's pattern rather than the URL, whose ids would make the number of series unbounded. */
function routeOf(request: FastifyRequest): string {
  return request.routeOptions.url ?? 'unknown';
}
