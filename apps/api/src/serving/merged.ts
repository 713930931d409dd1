/**
 * What all of `sources` say, as it comes; of several that have something, each in turn. All are asked at once, before the first is read.
 * When one throws, or the reader leaves, `end` must make the others end.
 */
export function merged<T>(
  sources: readonly AsyncGenerator<T, void>[],
  end: () => void,
): AsyncGenerator<T, void> {
  const next = async (source: AsyncGenerator<T, void>) => ({ source, result: await source.next() });
  const pending = new Map(sources.map((source) => [source, next(source)]));
  // Nobody reads them when the reader leaves before it has begun.
  for (const each of pending.values()) each.catch(() => {});
  return (async function* () {
    try {
      while (pending.size > 0) {
        const { source, result } = await Promise.race(pending.values());
        // Behind the others.
        pending.delete(source);
        if (result.done) continue;
        yield result.value;
        pending.set(source, next(source));
      }
    } finally {
      end();
      await Promise.allSettled(sources.map((source) => source.return()));
    }
  })();
}
