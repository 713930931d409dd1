import type { Me } from '@graft/client';
import { useQueryClient } from '@tanstack/preact-query';
import { useEffect } from 'preact/hooks';
import { Link, Redirect, Route, Switch, useLocation } from 'wouter-preact';
import { Brand } from '../components/brand.tsx';
import { Cut } from '../components/cut.tsx';
import { Empty } from '../components/empty.tsx';
import { ErrorBoundary } from '../components/error-boundary.tsx';
import { Button } from '../components/forms/button.tsx';
import { Select } from '../components/forms/field.tsx';
import { useAction } from '../components/forms/form.tsx';
import { Icon } from '../components/icon.tsx';
import { PageHead } from '../components/page-head.tsx';
import { useScrollIntoView } from '../components/use-scroll-into-view.ts';
import { graft } from '../data/graft.ts';
import { useSignOut } from '../data/session.ts';
import { navigation, pages } from '../pages.tsx';

/** The frame of every page: navigation, account, content. */
export function Shell({ me }: { me: Me }) {
  const [path] = useLocation();
  const entries = navigation(me);
  const isHere = (href: string) => path === href || path.startsWith(`${href}/`);
  const row = useScrollIntoView(entries.find((entry) => isHere(entry.path))?.path);
  useEffect(scrollToTopOnPush, []);
  return (
    <div class="shell">
      <a class="skip" href="#page">
        Skip to content
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
        <ErrorBoundary resetKey={path}>
          <Switch>
            <Route path="/">
              {entries[0] ? <Redirect href={entries[0].path} replace /> : <NoPages me={me} />}
            </Route>
            <Route path="/sign-in">
              <Redirect href="/" replace />
            </Route>
            {pages.map(({ path, page }) => (
              <Route key={path} path={path} component={page} />
            ))}
            <Route>
              <PageHead title="Page not found" />
              <p>
                There is no page at this URL. <Link href="/">Go to the home page</Link>.
              </p>
            </Route>
          </Switch>
        </ErrorBoundary>
      </main>
    </div>
  );
}

/** Starts new pages at the top; browsers restore the scroll position when going back. */
function scrollToTopOnPush(): () => void {
  const onPush = () => scrollTo(0, 0);
  addEventListener('pushState', onPush);
  return () => removeEventListener('pushState', onPush);
}

function NoPages({ me }: { me: Me }) {
  return (
    <Empty title={me.kind === 'person' ? 'You are not in a team yet' : 'This is an operator key'}>
      <p>
        {me.kind === 'person'
          ? 'Ask a team admin for an invitation, and open its link while you are signed in.'
          : 'It cannot read team data. Sign out, then sign in with a team API key.'}
      </p>
    </Empty>
  );
}

/** The signed-in user, the current team, the guide and the sign-out button. */
function Account({ me }: { me: Me }) {
  const cache = useQueryClient();
  const signOut = useAction({ run: useSignOut() });
  const switchTeam = useAction({
    run: (team: string) => graft.sessions.chooseTeam(team),
    // All cached data belongs to the previous team.
    onDone: () => void cache.resetQueries(),
  });
  const { team, teams } = me;
  const user = `${me.person?.email ?? `Key ${me.key?.id ?? ''}`}${me.role ? ` · ${me.role}` : ''}`;
  return (
    <div class="account">
      <div class="account-user">
        {teams && teams.length > 1 ? (
          <Select
            label="Team"
            hideLabel
            value={team?.id ?? ''}
            onValue={switchTeam.mutate}
            options={[
              ...(team ? [] : [['', 'No team'] as const]),
              ...teams.map(({ id, name }) => [id, name] as const),
            ]}
          />
        ) : (
          <strong class="cut" title={team?.name}>
            {team?.name ?? (me.is_operator ? 'Operator' : 'No team')}
          </strong>
        )}
        <Cut text={user} class="small soft" />
      </div>
      <a class="small" href="/docs/guide/">
        Guide
      </a>
      <Button kind="quiet" small busy={signOut.isPending} onClick={() => signOut.mutate()}>
        Sign out
      </Button>
    </div>
  );
}
