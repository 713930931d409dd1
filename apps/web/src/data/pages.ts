import type { PageList } from '@graft/client';
import { keepPreviousData, type QueryKey, useInfiniteQuery } from '@tanstack/preact-query';

/**
 * A paginated list of the API. `list` sets the page size. `refetchInterval` (ms) refetches all loaded pages, with `while` only until they
 * are loaded and it is false for every row; with `keepPrevious` the old rows stay until those of a new key are loaded.
 */
export function usePages<Row extends { id: string }>(
  queryKey: QueryKey,
  list: () => PageList<Row>,
  {
    refetchInterval = false,
    while: isOpen,
    keepPrevious = false,
  }: { refetchInterval?: number | false; while?: (row: Row) => boolean; keepPrevious?: boolean } = {},
) {
  return useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam }) => list().page(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => (page.has_more ? (page.last_id ?? page.data.at(-1)?.id) : undefined),
    refetchInterval: ({ state: { data } }) =>
      !isOpen || !data || data.pages.some((page) => page.data.some(isOpen)) ? refetchInterval : false,
    ...(keepPrevious && { placeholderData: keepPreviousData }),
  });
}
