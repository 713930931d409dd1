import { MutationCache, QueryCache, QueryClient } from '@tanstack/preact-query';
import { asksToSignIn } from '../components/problem.tsx';
import { watchSession } from './session.ts';

/** What was read from the API, and how long it counts. The client tries again by itself. */
export const queryClient: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    // What an operator saw is not shown on, and the way to sign in again is.
    onError: (error, query) => {
      if (asksToSignIn(error)) query.setState({ data: undefined });
    },
  }),
  mutationCache: new MutationCache({
    // The page asks as well, and then shows the way to sign in again.
    onError: (error) => {
      if (asksToSignIn(error)) void queryClient.invalidateQueries({ type: 'active' });
    },
  }),
  defaultOptions: { queries: { retry: false, staleTime: 5_000 }, mutations: { retry: false } },
});
watchSession(queryClient);
