import { GraftApiError, GraftConnectionError, isTransient } from './errors.ts';
import { toHex } from './platform.ts';
import { isRetryableStatus, parseRetryAfter, pause, retryDelay } from './retry.ts';

/** Parameters of a URL; `{metadata: {owner: 'me'}}` becomes `metadata[owner]=me`. */
export type Query = Record<string, string | number | boolean | Record<string, string> | undefined>;

/** A body that can be sent again by a retry. `onChunk` keeps a slow but progressing upload from timing out. */
export interface RepeatableBody {
  headers: Record<string, string>;
  open(onChunk: () => void): ReadableStream<Uint8Array> | FormData;
}

export interface RequestSpec {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  query?: Query | undefined;
  json?: unknown;
  body?: RepeatableBody | undefined;
  headers?: Record<string, string>;
  /** Sends the same Idempotency-Key with every try, so that a retry creates nothing twice. */
  idempotent?: boolean;
  /** Statuses besides 2xx that the caller handles itself. */
  accept?: number[];
  signal?: AbortSignal | undefined;
  maxRetries?: number;
}

export interface OpenResponse {
  status: number;
  headers: Headers;
  requestId: string | null;
  /** Yields the bytes of the body. Leaving the loop early closes the connection. */
  bytes(): AsyncGenerator<Uint8Array, void, void>;
  text(): Promise<string>;
}

export interface TransportSettings {
  baseUrl: string;
  apiKey: string | null;
  fetch: typeof globalThis.fetch;
  maxRetries: number;
  /** Milliseconds without any activity (headers, or a chunk in either direction) after which a try fails. */
  timeout: number;
  headers: Record<string, string>;
}

/** HTTP with keys, timeouts, retries and typed errors. Only this file calls fetch. */
export class Transport {
  readonly #settings: TransportSettings;

  constructor(settings: TransportSettings) {
    this.#settings = settings;
  }

  /** Returns the parsed JSON response. A truncated body counts as a failed try. */
  async json<T>(spec: RequestSpec): Promise<T> {
    return this.#withRetries(spec, async (response) => {
      const text = await response.text();
      try {
        return JSON.parse(text) as T;
      } catch {
        throw new GraftApiError({
          status: response.status,
          requestId: response.requestId,
          message: `The server's answer is not JSON. Is ${this.#settings.baseUrl} a Graft API?`,
        });
      }
    });
  }

  /** Resolves when the headers of a successful response are received; the caller reads the body, without retries. */
  async open(spec: RequestSpec): Promise<OpenResponse> {
    return this.#withRetries(spec, async (response) => response);
  }

  async #withRetries<T>(spec: RequestSpec, read: (response: OpenResponse) => Promise<T>): Promise<T> {
    const maxRetries = spec.maxRetries ?? this.#settings.maxRetries;
    const headers = this.#headersFor(spec);
    for (let attempt = 0; ; attempt++) {
      try {
        return await read(await this.#attempt(spec, headers));
      } catch (error) {
        spec.signal?.throwIfAborted();
        if (attempt >= maxRetries || !isTransient(error)) throw error;
        const delay = retryDelay(attempt, error instanceof GraftApiError ? error.retryAfter : null);
        if (delay === null) throw error;
        await pause(delay, spec.signal);
      }
    }
  }

  #headersFor(spec: RequestSpec): Record<string, string> {
    const headers: Record<string, string> = { accept: 'application/json', ...this.#settings.headers };
    if (this.#settings.apiKey !== null) headers.authorization = `Bearer ${this.#settings.apiKey}`;
    if (spec.json !== undefined) headers['content-type'] = 'application/json';
    if (spec.idempotent) headers['idempotency-key'] = randomKey();
    return { ...headers, ...spec.body?.headers, ...spec.headers };
  }

  async #attempt(spec: RequestSpec, headers: Record<string, string>): Promise<OpenResponse> {
    spec.signal?.throwIfAborted();
    const watch = new Watch(this.#settings.timeout, spec.signal);
    const init: RequestInit & { duplex?: 'half' } = { method: spec.method, headers, signal: watch.signal };
    if (spec.body !== undefined) {
      init.body = spec.body.open(() => watch.touch());
      if (init.body instanceof ReadableStream) init.duplex = 'half';
    } else if (spec.json !== undefined) {
      init.body = JSON.stringify(spec.json);
    }
    let response: Response;
    try {
      response = await this.#settings.fetch(urlFor(this.#settings.baseUrl, spec), init);
    } catch (error) {
      watch.stop();
      throw this.#connectionError(error, watch);
    }
    const opened: OpenResponse = {
      status: response.status,
      headers: response.headers,
      requestId: response.headers.get('x-request-id'),
      bytes: () => this.#bytes(response, watch),
      text: async () => {
        const decoder = new TextDecoder();
        let text = '';
        for await (const chunk of opened.bytes()) text += decoder.decode(chunk, { stream: true });
        return text + decoder.decode();
      },
    };
    if (response.ok || spec.accept?.includes(response.status)) return opened;
    throw await errorFrom(opened);
  }

  async *#bytes(response: Response, watch: Watch): AsyncGenerator<Uint8Array, void, void> {
    const reader = response.body?.getReader();
    try {
      while (reader !== undefined) {
        watch.touch();
        const { done, value } = await reader.read();
        if (done) return;
        // The timer is paused while the caller handles a chunk: a slow caller is not a timeout of the server.
        watch.rest();
        yield value;
      }
    } catch (error) {
      throw this.#connectionError(error, watch);
    } finally {
      watch.stop();
      // Closes the connection if the consumer left early; harmless after the end.
      await reader?.cancel().catch(() => {});
    }
  }

  #connectionError(error: unknown, watch: Watch): unknown {
    if (watch.timedOut) {
      const seconds = this.#settings.timeout / 1_000;
      return new GraftConnectionError(`No answer from ${this.#settings.baseUrl} for ${seconds} seconds.`, {
        cause: error,
        timedOut: true,
      });
    }
    if (watch.aborted) return watch.signal.reason;
    return new GraftConnectionError(`Cannot reach ${this.#settings.baseUrl}: ${reasonOf(error)}.`, {
      cause: error,
    });
  }
}

/** Timer of one try: aborts after `timeout` milliseconds without activity, or when the caller aborts. */
class Watch {
  readonly #controller = new AbortController();
  readonly #timeout: number;
  readonly #caller: AbortSignal | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  timedOut = false;

  constructor(timeout: number, caller: AbortSignal | undefined) {
    this.#timeout = timeout;
    this.#caller = caller;
    caller?.addEventListener('abort', this.#onCallerAbort, { once: true });
    this.touch();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get aborted(): boolean {
    return this.#controller.signal.aborted;
  }

  touch(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.timedOut = true;
      this.#controller.abort(new DOMException('timed out', 'TimeoutError'));
    }, this.#timeout);
    // An unread response does not keep Node alive; a socket in use does.
    (this.#timer as { unref?: () => void }).unref?.();
  }

  rest(): void {
    clearTimeout(this.#timer);
  }

  stop(): void {
    this.rest();
    this.#caller?.removeEventListener('abort', this.#onCallerAbort);
  }

  readonly #onCallerAbort = () => this.#controller.abort(this.#caller?.reason);
}

async function errorFrom(response: OpenResponse): Promise<GraftApiError> {
  const body = await response.text().catch(() => '');
  return GraftApiError.fromBody(body, {
    status: response.status,
    requestId: response.requestId,
    retryAfter: parseRetryAfter(response.headers.get('retry-after')),
    retryable: isRetryableStatus(response.status, response.headers),
  });
}

function urlFor(baseUrl: string, spec: RequestSpec): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(spec.query ?? {})) {
    if (typeof value === 'object') {
      for (const [key, text] of Object.entries(value)) query.append(`${name}[${key}]`, text);
    } else if (value !== undefined) {
      query.append(name, String(value));
    }
  }
  const search = query.toString();
  return `${baseUrl}${spec.path}${search === '' ? '' : `?${search}`}`;
}

/** Extracts the reason, which fetch ("fetch failed") hides in its cause: an AggregateError if several addresses were tried. */
function reasonOf(error: unknown): string {
  let reason: unknown = error;
  while (reason instanceof Error) {
    const code = (reason as { code?: unknown }).code;
    if (code === 'ECONNREFUSED') return 'nothing listens there (ECONNREFUSED)';
    if (code === 'ENOTFOUND') return 'no such host (ENOTFOUND)';
    if (!(reason.cause instanceof Error)) {
      return typeof code === 'string' && reason.message === '' ? code : reason.message;
    }
    reason = reason.cause;
  }
  return String(reason);
}

/** Returns 128 random bits. Not randomUUID, which browsers only offer on https pages. */
function randomKey(): string {
  return toHex(globalThis.crypto.getRandomValues(new Uint8Array(16)));
}
