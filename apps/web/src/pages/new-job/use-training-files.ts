import { useQuery } from '@tanstack/preact-query';
import { graft } from '../../data/graft.ts';

/** The files that a job may train on, the newest first. */
export const useTrainingFiles = () =>
  useQuery({
    queryKey: ['files', 'choice'],
    queryFn: async () => (await graft.files.list({ purpose: 'fine-tune', limit: 1000 }).page()).data,
  });
