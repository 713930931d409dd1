import { useQuery } from '@tanstack/preact-query';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';

/** Poll interval in milliseconds. Hidden pages do not poll. */
const pollMs = 5_000;

export const useWorkers = () =>
  usePages(['workers'], () => graft.admin.workers.list({ limit: 100 }), { refetchInterval: pollMs });

export const useQueue = () =>
  useQuery({ queryKey: ['queue'], queryFn: () => graft.admin.queue(), refetchInterval: pollMs });

export const useService = () =>
  useQuery({ queryKey: ['service'], queryFn: () => graft.admin.service(), refetchInterval: pollMs });
