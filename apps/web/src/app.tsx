import { QueryClientProvider } from '@tanstack/preact-query';
import { useLocation } from 'wouter-preact';
import { Problem } from './components/problem.tsx';
import { Toasts } from './components/toast.tsx';
import { queryClient } from './data/query-client.ts';
import { useSession } from './data/session.ts';
import { pages } from './pages.tsx';
import { Shell } from './shell/shell.tsx';
import { SignIn } from './shell/sign-in.tsx';

/** The pages for users who are signed in; for others the sign-in form, which then shows the URL they opened. Public pages need no session. */
export function App() {
  return (
    <QueryClientProvider client={queryClient}>
      <SessionGate />
      <Toasts />
    </QueryClientProvider>
  );
}

function SessionGate() {
  const { data, error, refetch } = useSession();
  const [path] = useLocation();
  if (!data) {
    return error ? (
      <main class="standalone stack">
        <Problem error={error} onRetry={refetch} />
      </main>
    ) : null;
  }
  const PublicPage = pages.find((page) => page.isPublic && page.path === path)?.page;
  if (PublicPage) return <PublicPage />;
  return data.me ? <Shell me={data.me} /> : <SignIn options={data.options} />;
}
