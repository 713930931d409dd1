import { setTimeout as sleep } from 'node:timers/promises';

/** Yields the chunks of `source`, at most `bytesPerSecond`. */
export async function* throttled(
  source: AsyncIterable<Buffer>,
  { bytesPerSecond, signal }: { bytesPerSecond: number; signal?: AbortSignal },
): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    yield chunk;
    await sleep((1000 * chunk.length) / bytesPerSecond, undefined, signal ? { signal } : {});
  }
}
