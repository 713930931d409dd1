import { QueryClient } from '@tanstack/preact-query';
import { watchSession } from './session.ts';

/** What was read from the API, and how long it counts. The client tries again by itself. */
export const queryClient: QueryClient = new QueryClient({
  defaultOptions: { queries: { retry: false, staleTime: 5_000 }, mutations: { retry: false } },
});
watchSession(queryClient);
