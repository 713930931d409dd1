import type { Me } from '@graft/client';
import { useEffect } from 'preact/hooks';
import { Link, Redirect, Route, Switch, useLocation } from 'wouter-preact';
import '../styles/shell.css';
import { Brand } from '../components/brand.tsx';
import { useCurrentInSight } from '../components/current-in-sight.ts';
import { Empty } from '../components/empty.tsx';
import { ErrorBoundary } from '../components/error-boundary.tsx';
import { Icon } from '../components/icon.tsx';
import { PageHead } from '../components/page-head.tsx';
import { pages } from '../pages.tsx';
import { Account } from './account.tsx';

/** Around every page: where one can go, who one is, and the page. */
export function Shell({ me }: { me: Me }) {
  const [path] = useLocation();
  const entries = pages.flatMap(({ path, nav }) => (nav?.for(me) ? [{ path, ...nav }] : []));
  const isHere = (href: string) => path === href || path.startsWith(`${href}/`);
  const row = useCurrentInSight(entries.find((entry) => isHere(entry.path))?.path);
  useEffect(topOfNewPages, []);
  return (
    <div class="shell">
      <a class="skip" href="#page">
        Skip to the page
      </a>
      <header class="side">
        <Brand />
        <nav aria-label="Pages" ref={row}>
          {entries.map((entry) => (
            <Link key={entry.path} href={entry.path} aria-current={isHere(entry.path) ? 'page' : undefined}>
              <Icon name={entry.icon} /> {entry.text}
            </Link>
          ))}
        </nav>
        <Account me={me} />
      </header>
      <main id="page">
        <ErrorBoundary of={path}>
          <Switch>
            <Route path="/">
              {entries[0] ? <Redirect href={entries[0].path} replace /> : <Nowhere me={me} />}
            </Route>
            <Route path="/sign-in">
              <Redirect href="/" replace />
            </Route>
            {pages.map(({ path, page }) => (
              <Route key={path} path={path} component={page} />
            ))}
            <Route>
              <PageHead title="No such page" />
              <p>
                Nothing is at this address. <Link href="/">Go to the first page</Link>.
              </p>
            </Route>
          </Switch>
        </ErrorBoundary>
      </main>
    </div>
  );
}

/** A page that is gone to begins at its top; one that is gone back to is where it was left, which browsers see to. */
function topOfNewPages(): () => void {
  const onPush = () => scrollTo(0, 0);
  addEventListener('pushState', onPush);
  return () => removeEventListener('pushState', onPush);
}

/** Somebody who is signed in and for whom there is no page. */
function Nowhere({ me }: { me: Me }) {
  return (
    <Empty title={me.kind === 'person' ? 'You are in no team yet' : 'This is a key of the operator'}>
      <p>
        {me.kind === 'person'
          ? 'An admin of a team invites you: open the link of the invitation while you are signed in.'
          : 'It reads no data of a team. Sign out, and sign in with a key of a team.'}
      </p>
    </Empty>
  );
}
