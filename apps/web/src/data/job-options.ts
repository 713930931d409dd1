import { keepPreviousData, useQuery } from '@tanstack/preact-query';
import { graft } from './graft.ts';

/** The options of jobs: all of them, or those that apply to a model, or to continuing from the adapter `start`. */
export const useJobOptions = (model = '', start = '') =>
  useQuery({
    queryKey: ['job-options', model, start],
    queryFn: () => graft.fineTuning.jobs.options(model ? { model, ...(start && { start_from: start }) } : {}),
    placeholderData: keepPreviousData,
    staleTime: 60_000,
  });
