import { useQuery } from '@tanstack/preact-query';
import { graft } from './graft.ts';
import { useMay } from './session.ts';

/** What requests may name as `model`: base models and what the team made of them, newest first. */
export function useModels() {
  return useQuery({
    queryKey: ['models'],
    queryFn: () => graft.models.list(),
    enabled: useMay('models:read', 'viewer'),
    staleTime: 30_000,
  });
}
