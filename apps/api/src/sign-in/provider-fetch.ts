import type { CustomFetch, CustomFetchOptions } from 'openid-client';

/** The provider is temporarily unavailable or does not respond correctly. */
export class ProviderAway extends Error {
  override readonly name = 'ProviderAway';
}

/** Maximum bytes of a response: metadata, keys, tokens, userinfo. */
const maxBytes = 2 ** 20;

interface Answer {
  status: number;
  headers: Headers;
  bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Creates a `fetch` for requests to a provider, limited in time and size, that never follows redirects. Concurrent requests for the same
 * public resource, such as the keys, share one request.
 */
export function providerFetch(timeoutMs: number): CustomFetch {
  const pending = new Map<string, Promise<Answer>>();
  return async (url, options) => {
    const isPublic = options.method === 'GET' && !new Headers(options.headers).has('authorization');
    const shared = isPublic ? pending.get(url) : undefined;
    const asked = shared ?? ask(url, options, timeoutMs);
    if (isPublic && !shared) {
      pending.set(url, asked);
      const forget = () => pending.delete(url);
      asked.then(forget, forget);
    }
    const { status, headers, bytes } = await asked;
    return new Response(bytes.length === 0 ? null : bytes, { status, headers });
  };
}

async function ask(
  url: string,
  { body, method, headers }: CustomFetchOptions,
  timeoutMs: number,
): Promise<Answer> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      method,
      headers,
      redirect: 'manual' as const,
      signal,
      ...(body == null ? {} : { body: body as URLSearchParams }),
    });
    if (response.status >= 500 || response.status === 429) {
      await response.body?.cancel();
      throw new ProviderAway(`it answered ${response.status}`);
    }
    const bytes = await readBounded(response);
    const kept = new Headers(response.headers);
    // These headers describe the bytes as sent, before decoding.
    for (const name of ['content-encoding', 'content-length']) kept.delete(name);
    return { status: response.status, headers: kept, bytes };
  } catch (error) {
    if (error instanceof ProviderAway) throw error;
    throw new ProviderAway(`it cannot be reached: ${(error as Error).message}`, { cause: error });
  }
}

async function readBounded({ body }: Response): Promise<Uint8Array<ArrayBuffer>> {
  if (body === null) return new Uint8Array();
  const parts: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop closes the connection.
  for await (const part of body as unknown as AsyncIterable<Uint8Array>) {
    size += part.length;
    if (size > maxBytes) throw new ProviderAway(`its answer has more than ${maxBytes} bytes`);
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}
