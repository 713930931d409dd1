import { GraftApiError } from '@graft/client';
import { QueryCache, QueryClient } from '@tanstack/preact-query';
import { sessionKey } from './session.ts';

/** What was read from the API, and how long it counts. The client tries again by itself. */
export const queryClient: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    onError: (error) => {
      // The session ended meanwhile: the shell asks again, and shows the way in.
      if (error instanceof GraftApiError && error.status === 401)
        void queryClient.invalidateQueries({ queryKey: sessionKey });
    },
  }),
  defaultOptions: { queries: { retry: false, staleTime: 5_000 }, mutations: { retry: false } },
});
