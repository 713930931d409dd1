import { useQuery } from '@tanstack/preact-query';
import { graft } from './graft.ts';
import { useMay } from './session.ts';

/** What requests may name as `model`: base models, then fine-tuned ones, newest first. */
export function useModels() {
  const { data = [] } = useQuery({
    queryKey: ['models'],
    queryFn: () => graft.models.list(),
    enabled: useMay('models:read', 'viewer'),
    staleTime: 60_000,
  });
  return data;
}
