/**
 * Yields the items of all `sources` as they arrive, with ready sources in turn. All sources start at once, before the first read. When a
 * source throws or the reader stops, `end` must make the others end.
 */
export function merged<T>(
  sources: readonly AsyncGenerator<T, void>[],
  end: () => void,
): AsyncGenerator<T, void> {
  const next = async (source: AsyncGenerator<T, void>) => ({ source, result: await source.next() });
  const pending = new Map(sources.map((source) => [source, next(source)]));
  // Avoids unhandled rejections if the reader stops before the first read.
  for (const each of pending.values()) each.catch(() => {});
  return (async function* () {
    try {
      while (pending.size > 0) {
        const { source, result } = await Promise.race(pending.values());
        // Moves the source behind the others.
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
