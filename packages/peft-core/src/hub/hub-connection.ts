import { GraftError } from '../errors.ts';

export interface HubConnection {
  /** Without a trailing slash. */
  endpoint: string;
  /**
   * A fetch that sends the token only to the endpoint's origin, and converts failures to GraftErrors: codes
   * `base_model_not_found`, `base_model_access_denied`, `base_model_unavailable` (only the last may be temporary).
   */
  fetch(url: string | URL | Request, init?: RequestInit): Promise<Response>;
}

export const modelFileUrl = (
  { endpoint }: HubConnection,
  name: string,
  commit: string,
  path: string,
): string => `${endpoint}/${name}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`;

/** A request fails after this time without a response. Milliseconds. */
const answerTimeout = 30_000;

/** `model` is used in messages. HF_ENDPOINT and HF_TOKEN have the same effect as in Hugging Face's own tools. */
export function connectToHub(model: string, env: NodeJS.ProcessEnv = process.env): HubConnection {
  const endpoint = (env.HF_ENDPOINT || 'https://huggingface.co').replace(/\/+$/, '');
  const { origin } = new URL(endpoint);
  const token = env.HF_TOKEN || null;

  return {
    endpoint,
    async fetch(url, init = {}) {
      const { href, origin: to } = new URL(url instanceof Request ? url.url : url);
      const headers = new Headers(init.headers);
      if (token && to === origin) headers.set('authorization', `Bearer ${token}`);
      // The timer covers only the response's headers: a body may take hours. A redirect to another origin drops the token (Fetch, §4.4).
      const timer = new AbortController();
      const timeout = setTimeout(() => timer.abort(new Error('no answer')), answerTimeout);
      const signal = init.signal ? AbortSignal.any([init.signal, timer.signal]) : timer.signal;
      let response: Response;
      try {
        response = await fetch(href, { ...init, headers, signal });
      } catch (cause) {
        init.signal?.throwIfAborted();
        throw unavailable(`cannot reach ${origin} for the model ${model}: ${reasonOf(cause)}`, cause);
      } finally {
        clearTimeout(timeout);
      }
      if (!response.ok) throw await failure(response, model, origin, token !== null);
      return response;
    },
  };
}

export function unavailable(message: string, cause?: unknown): GraftError {
  return new GraftError('base_model_unavailable', message, { fault: 'system', param: 'model', cause });
}

async function failure(
  response: Response,
  model: string,
  origin: string,
  withToken: boolean,
): Promise<GraftError> {
  const code = response.headers.get('x-error-code');
  await response.body?.cancel();
  const { status } = response;
  const error = (name: string, message: string) => new GraftError(name, message, { param: 'model' });
  const hint = withToken ? 'HF_TOKEN may not read it' : 'if it is private, set HF_TOKEN';
  if (code === 'RevisionNotFound')
    return error('base_model_not_found', `${origin} has no such revision of ${model}`);
  if (code === 'GatedRepo') {
    return error(
      'base_model_access_denied',
      `${model} is gated: accept its terms at ${origin}/${model}, and set HF_TOKEN to a token that may read it`,
    );
  }
  // The Hub answers 401 for a repository that does not exist, so as not to disclose which private ones do.
  if (status === 404 || code === 'RepoNotFound') {
    return error('base_model_not_found', `${origin} has no model ${model} (${hint})`);
  }
  if (status === 401 || status === 403) {
    return error(
      'base_model_access_denied',
      `${origin} does not let us read ${model} (status ${status}; ${hint})`,
    );
  }
  if (status === 416) return unavailable(`${origin} does not have the requested range of ${model}`);
  return unavailable(`${origin} answered ${status} for the model ${model}`);
}

/** Why a fetch failed: Node stores the reason in `cause`. */
export function reasonOf(error: unknown): string {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return inner instanceof Error
    ? inner.message || (inner as NodeJS.ErrnoException).code || inner.name
    : String(inner);
}
