import { useInfiniteQuery, useQuery, useQueryClient } from '@tanstack/preact-query';
import { graft } from './graft.ts';

const pageSize = 100;

export interface AdapterFilters {
  search: string;
  base: string;
}

/** Pages of the team's adapters, newest first. What was shown stays until what was asked for is there. */
export function useAdapters({ search, base }: AdapterFilters) {
  return useInfiniteQuery({
    queryKey: ['adapters', { search, base }],
    queryFn: ({ pageParam }) =>
      graft.adapters
        .list({ limit: pageSize, ...(search && { search }), ...(base && { base_model: base }) })
        .page(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => (page.has_more ? (page.last_id ?? undefined) : undefined),
    placeholderData: (before) => before,
  });
}

/** Versions that were deleted and can be restored. */
export function useDeletedVersions() {
  return useInfiniteQuery({
    queryKey: ['adapters', 'deleted'],
    queryFn: ({ pageParam }) => graft.adapters.listDeleted({ limit: pageSize }).page(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => (page.has_more ? (page.last_id ?? undefined) : undefined),
  });
}

export function useAdapter(id: string) {
  return useQuery({ queryKey: ['adapter', id], queryFn: () => graft.adapters.retrieve(id) });
}

/** Pages of its versions, newest first. */
export function useVersions(id: string) {
  return useInfiniteQuery({
    queryKey: ['adapter', id, 'versions'],
    queryFn: ({ pageParam }) => graft.adapters.versions.list(id, { limit: pageSize }).page(pageParam),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => (page.has_more ? (page.last_id ?? undefined) : undefined),
  });
}

export function useVersion(id: string, number: number | null) {
  return useQuery({
    queryKey: ['adapter', id, 'version', number],
    queryFn: () => graft.adapters.versions.retrieve(id, number!),
    enabled: number !== null,
    // Another of the same adapter stays in sight while this one is fetched.
    placeholderData: (before) => (before?.adapter_id === id ? before : undefined),
  });
}

/** To be called when something of an adapter was changed: all that is shown of it, and of lists with it, is read again. */
export function useAdapterChanged() {
  const cache = useQueryClient();
  return (id: string) =>
    Promise.all([
      cache.invalidateQueries({ queryKey: ['adapter', id] }),
      cache.invalidateQueries({ queryKey: ['adapters'] }),
      cache.invalidateQueries({ queryKey: ['models'] }),
    ]);
}

/** To be called when a part of an adapter, or all of it, was deleted and its page was left: none of it is asked for again. */
export function useAdapterGone() {
  const cache = useQueryClient();
  return (id: string) => {
    cache.removeQueries({ queryKey: ['adapter', id] });
    return Promise.all([
      cache.invalidateQueries({ queryKey: ['adapters'] }),
      cache.invalidateQueries({ queryKey: ['models'] }),
    ]);
  };
}
