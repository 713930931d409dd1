import { useQuery } from '@tanstack/preact-query';
import { graft } from './graft.ts';
import { usePages } from './pages.ts';

const pageSize = 100;

/** Pages of the team's adapters, newest first. */
export const useAdapters = (filters: { search?: string; base_model?: string }) =>
  usePages(['adapters', filters], () => graft.adapters.list({ limit: pageSize, ...filters }), {
    keepPrevious: true,
  });

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

/** Query keys of lists that contain adapters, and of everything that must be refetched when an adapter changes. */
export const adapterLists = [['adapters'], ['models']];
export const adapterKeys = [['adapter'], ...adapterLists];
