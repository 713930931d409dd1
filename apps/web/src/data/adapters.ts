import { useQuery, useQueryClient } from '@tanstack/preact-query';
import { graft } from './graft.ts';
import { usePages } from './pages.ts';

const pageSize = 100;

export interface AdapterFilters {
  search: string;
  base: string;
}

/** Pages of the team's adapters, newest first. */
export function useAdapters({ search, base }: AdapterFilters) {
  const filters = { ...(search && { search }), ...(base && { base_model: base }) };
  return usePages(
    ['adapters', { search, base }],
    () => graft.adapters.list({ limit: pageSize, ...filters }),
    { keepPrevious: true },
  );
}

/** Deleted versions that can be restored. */
export const useDeletedVersions = () =>
  usePages(['adapters', 'deleted'], () => graft.adapters.listDeleted({ limit: pageSize }));

export function useAdapter(id: string) {
  return useQuery({ queryKey: ['adapter', id], queryFn: () => graft.adapters.retrieve(id) });
}

/** Pages of an adapter's versions, newest first. */
export const useVersions = (id: string) =>
  usePages(['adapter', id, 'versions'], () => graft.adapters.versions.list(id, { limit: pageSize }));

export function useVersion(id: string, number: number | null) {
  return useQuery({
    queryKey: ['adapter', id, 'version', number],
    queryFn: () => graft.adapters.versions.retrieve(id, number!),
    enabled: number !== null,
    // The previous version of the same adapter stays visible during the request.
    placeholderData: (previous) => (previous?.adapter_id === id ? previous : undefined),
  });
}

/** Returns a function that refetches an adapter, and the lists that contain it, after a change. */
export function useRefetchAdapter() {
  const cache = useQueryClient();
  return (id: string) =>
    Promise.all([
      cache.invalidateQueries({ queryKey: ['adapter', id] }),
      cache.invalidateQueries({ queryKey: ['adapters'] }),
      cache.invalidateQueries({ queryKey: ['models'] }),
    ]);
}

/** Returns a function that drops an adapter from the cache after a deletion, when its page is closed, and refetches the lists. */
export function useForgetAdapter() {
  const cache = useQueryClient();
  return (id: string) => {
    cache.removeQueries({ queryKey: ['adapter', id] });
    return Promise.all([
      cache.invalidateQueries({ queryKey: ['adapters'] }),
      cache.invalidateQueries({ queryKey: ['models'] }),
    ]);
  };
}
