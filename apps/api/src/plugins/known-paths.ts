import fp from 'fastify-plugin';
import { ApiError } from '../api-error.ts';

/**
 * Answers requests that no route takes, before their bodies are read: OPTIONS of a known path with its methods in Allow,
 * another method with 405 and Allow, an unknown path with 404. Registered before the routes.
 */
export const knownPaths = fp(async (app) => {
  const routes: { parts: string[]; methods: string[] }[] = [];
  /** Methods of the paths without parameters. */
  const written = new Map<string, string[]>();

  app.addHook('onRoute', ({ url, method }) => {
    const known = routes.find((route) => route.parts.join('/') === url);
    if (known) known.methods.push(...[method].flat());
    else routes.push({ parts: url.split('/'), methods: [method].flat() });
    if (!/[:*]/.test(url)) written.set(url, [...(written.get(url) ?? []), ...[method].flat()]);
  });

  app.addHook('onRequest', async (request, reply) => {
    const path = request.url.split('?', 1)[0]!;
    // `/adapters/compare` is no adapter, whatever the method: the route that says so stands for the path.
    const own = request.is404 || request.routeOptions.url?.includes(':') ? written.get(path) : undefined;
    if (own ? own.includes(request.method) : !request.is404) return;
    const methods = new Set(
      own ?? routes.filter(({ parts }) => fits(parts, path)).flatMap((route) => route.methods),
    );
    if (methods.size === 0) {
      throw new ApiError('unknown_url', `Unknown request URL: ${request.method} ${path}.`);
    }
    const allow = [...methods, 'OPTIONS'].join(', ');
    if (request.method === 'OPTIONS') return reply.code(204).header('allow', allow).send();
    throw new ApiError('method_not_allowed', `${path} takes ${allow}, not ${request.method}.`, {
      headers: { allow },
    });
  });
});

/** Whether a path is one of a route's, whose parts are texts, `:parameters`, and `*` for all that follows. */
function fits(parts: string[], path: string): boolean {
  const given = path.split('/');
  for (const [i, part] of parts.entries()) {
    if (part === '*') return given.length > i;
    if (given[i] === undefined || !(part.startsWith(':') ? given[i] !== '' : part === given[i])) return false;
  }
  return given.length === parts.length;
}
