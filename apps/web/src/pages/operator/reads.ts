import { useQuery } from '@tanstack/preact-query';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';

/** Milliseconds between two looks at what changes by itself; a page that is not in sight does not look. */
const everyMs = 5_000;

export const useWorkers = () =>
  usePages(['workers'], () => graft.admin.workers.list({ limit: 100 }), { refetchInterval: everyMs });

export const useQueue = () =>
  useQuery({ queryKey: ['queue'], queryFn: () => graft.admin.queue(), refetchInterval: everyMs });

export const useService = () =>
  useQuery({ queryKey: ['service'], queryFn: () => graft.admin.service(), refetchInterval: everyMs });
