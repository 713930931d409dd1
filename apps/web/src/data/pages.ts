import type { PageList } from '@graft/client';
import { keepPreviousData, type QueryKey, useInfiniteQuery } from '@tanstack/preact-query';

/**
 * A paginated list of the API. `list` sets the page size. `refetchInterval` (ms) refetches all loaded pages; with
 * `keepPrevious` the old rows stay until those of a new key are loaded.
 */
export function usePages<Row extends { id: string }>(
  queryKey: QueryKey,
  list: () => PageList<Row>,
  { refetchInterval = false as number | false, keepPrevious = false } = {},
) {
  return useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam }) => list().page(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => (page.has_more ? (page.last_id ?? page.data.at(-1)?.id) : undefined),
    refetchInterval,
    ...(keepPrevious && { placeholderData: keepPreviousData }),
  });
}
