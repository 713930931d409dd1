import { setTimeout as sleep } from 'node:timers/promises';

/** Yields the chunks of `source`, at most `bytesPerSecond`; infinity means no limit. */
export async function* throttled(
  source: AsyncIterable<Buffer>,
  { bytesPerSecond, signal }: { bytesPerSecond: number; signal?: AbortSignal | undefined },
): AsyncGenerator<Buffer> {
  for await (const chunk of source) {
    yield chunk;
    if (bytesPerSecond === Number.POSITIVE_INFINITY) continue;
    await sleep((1000 * chunk.length) / bytesPerSecond, undefined, signal ? { signal } : {});
  }
}
