import { MutationCache, QueryCache, QueryClient } from '@tanstack/preact-query';
import { needsSignIn } from '../components/problem.tsx';
import { watchSession } from './session.ts';

/** Cache of the API's responses. TanStack Query does not retry, because the client does. */
export const queryClient: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    // Hides operator data when the sign-in is too old; the page shows a link to sign in again.
    onError: (error, query) => {
      if (needsSignIn(error)) query.setState({ data: undefined });
    },
  }),
  mutationCache: new MutationCache({
    // The page's queries fail in the same way, and the page then shows the link.
    onError: (error) => {
      if (needsSignIn(error)) void queryClient.invalidateQueries({ type: 'active' });
    },
  }),
  defaultOptions: { queries: { retry: false, staleTime: 5_000 }, mutations: { retry: false } },
});
watchSession(queryClient);
