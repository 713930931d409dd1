import { QueryClientProvider } from '@tanstack/preact-query';
import { useLocation } from 'wouter-preact';
import { Problem } from './components/problem.tsx';
import { Toasts } from './components/toast.tsx';
import { queryClient } from './data/query-client.ts';
import { useSession } from './data/session.ts';
import { pages } from './pages.tsx';
import { Shell } from './shell/shell.tsx';
import { SignIn } from './shell/sign-in.tsx';

/**
 * Whoever is signed in gets the pages, and whoever is not, at any address but an open page's, the way in; then they are where
 * they wanted to go.
 */
export function App() {
  return (
    <QueryClientProvider client={queryClient}>
      <Entrance />
      <Toasts />
    </QueryClientProvider>
  );
}

function Entrance() {
  const { data, error, refetch } = useSession();
  const [path] = useLocation();
  if (!data) {
    return error ? (
      <main class="alone">
        <Problem error={error} onRetry={refetch} />
      </main>
    ) : null;
  }
  const Open = pages.find((page) => page.isOpen && page.path === path)?.page;
  if (Open) return <Open />;
  return data.me ? <Shell me={data.me} /> : <SignIn options={data.options} />;
}
