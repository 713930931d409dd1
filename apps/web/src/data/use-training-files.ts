import { useQuery } from '@tanstack/preact-query';
import { graft } from './graft.ts';

/** The files that a job may train on, the newest first. */
export const useTrainingFiles = () =>
  useQuery({
    queryKey: ['files', 'choice'],
    queryFn: () => graft.files.list({ purpose: 'fine-tune', limit: 1000 }).toArray(1000),
  });
