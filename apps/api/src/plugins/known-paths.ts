import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';

/**
 * Responds before the body is read to requests without a route: OPTIONS of a known path with its methods in Allow, another method with 405
 * and Allow, an unknown path with 404. Must be registered before the routes.
 */
export const knownPaths = fp(async (app) => {
  const routes: { parts: string[]; methods: string[] }[] = [];
  /** Methods of paths without parameters. */
  const written = new Map<string, string[]>();

  app.addHook('onRoute', ({ url, method }) => {
    const known = routes.find((route) => route.parts.join('/') === url);
    if (known) known.methods.push(...[method].flat());
    else routes.push({ parts: url.split('/'), methods: [method].flat() });
    if (!/[:*]/.test(url)) written.set(url, [...(written.get(url) ?? []), ...[method].flat()]);
  });

  app.addHook('onRequest', async (request, reply) => {
    const path = request.url.split('?', 1)[0]!;
    // For `/adapters/compare`, which is no adapter id, the methods of the literal path apply.
    const own = request.is404 || request.routeOptions.url?.includes(':') ? written.get(path) : undefined;
    if (own ? own.includes(request.method) : !request.is404) return;
    const methods = new Set(
      own ?? routes.filter(({ parts }) => fits(parts, path)).flatMap((route) => route.methods),
    );
    if (methods.size === 0) {
      const versioned = `/v1${path}`;
      const hint = routes.some(({ parts }) => fits(parts, versioned))
        ? ` Did you mean ${versioned}? The base URL of a client ends with /v1.`
        : '';
      throw new ApiError('unknown_url', `Unknown request URL: ${request.method} ${path}.${hint}`);
    }
    const allow = [...methods, 'OPTIONS'].join(', ');
    if (request.method === 'OPTIONS') return reply.code(204).header('allow', allow).send();
    throw new ApiError('method_not_allowed', `${path} supports ${allow}, not ${request.method}.`, {
      headers: { allow },
    });
  });
});

/** Checks whether a path matches a route, whose segments are literals, `:parameters`, or `*` for all remaining segments. */
function fits(parts: string[], path: string): boolean {
  const given = path.split('/');
  for (const [i, part] of parts.entries()) {
    if (part === '*') return given.length > i;
    if (given[i] === undefined || !(part.startsWith(':') ? given[i] !== '' : part === given[i])) return false;
  }
  return given.length === parts.length;
}
