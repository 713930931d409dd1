import type { PageList } from '@graft/client';
import { type QueryKey, useInfiniteQuery } from '@tanstack/preact-query';

/**
 * A list of the API, page after page as they are asked for. `list` makes it with the size of a page; `refetchInterval` reads all
 * pages that are shown anew.
 */
export function usePages<Row extends { id: string }>(
  queryKey: QueryKey,
  list: () => PageList<Row>,
  { refetchInterval = false, enabled = true }: { refetchInterval?: number | false; enabled?: boolean } = {},
) {
  return useInfiniteQuery({
    queryKey,
    queryFn: ({ pageParam }) => list().page(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => (page.has_more ? page.data.at(-1)?.id : undefined),
    refetchInterval,
    enabled,
  });
}
