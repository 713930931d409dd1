import { type AcceptedInvitation, GraftApiError, type Me } from '@graft/client';
import { useEffect, useState } from 'preact/hooks';
import { Link } from 'wouter-preact';
import { Brand } from '../../components/brand.tsx';
import { Button } from '../../components/forms/button.tsx';
import { useAction } from '../../components/forms/form.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { useSession, useSignOut } from '../../data/session.ts';
import { JoinAsPerson } from './join-as-person.tsx';
import { JoinForm } from './join-form.tsx';
import { Joined } from './joined.tsx';
import { storeToken, takeToken } from './token.ts';

/** The page of an invitation link, for signed-in people and for new users. */
export function Invitation() {
  const [token, setToken] = useState(takeToken);
  useEffect(() => {
    // Another link opened in the same tab changes only the fragment.
    const onHash = () => setToken((before) => takeToken() ?? before);
    addEventListener('hashchange', onHash);
    return () => removeEventListener('hashchange', onHash);
  }, []);
  return <Opened key={token} token={token} />;
}

function Opened({ token }: { token: string | null }) {
  const [joined, setJoined] = useState<AcceptedInvitation | null>(null);
  const [isInvalid, setIsInvalid] = useState(false);
  const { options, me } = useSession().data!;
  const onError = (error: unknown) => {
    if (error instanceof GraftApiError && error.code === 'invalid_invitation') setIsInvalid(true);
  };
  return (
    <main class="standalone stack">
      <Brand />
      {joined ? (
        <Joined joined={joined} />
      ) : token === null || isInvalid ? (
        <InvalidLink hasToken={token !== null} me={me} />
      ) : me?.session?.method === 'oidc' ? (
        <JoinAsPerson token={token} me={me} onError={onError}>
          <SignOut text="To join as someone else, sign out and open the link again." />
        </JoinAsPerson>
      ) : (
        <>
          <PageHead title="Join a team">
            <p>You were invited to a team that fine-tunes language models with Graft.</p>
          </PageHead>
          {me && !options.provider && (
            <section class="standalone-note tight card">
              <p>
                This browser is signed in with an API key{me.team && ` of team ${me.team.name}`}
                {me.person && ` (${me.person.email})`}. A key cannot accept an invitation. Join below as a
                person; the new key then replaces it in this browser.
              </p>
              <SignOut text="Or sign out first." />
            </section>
          )}
          {options.provider ? (
            <a
              class="button"
              data-kind="main"
              href="/v1/sign-in?return_to=/invitations/accept"
              onClick={() => storeToken(token)}
            >
              Continue with SSO
            </a>
          ) : (
            <JoinForm token={token} onJoined={setJoined} onError={onError} />
          )}
        </>
      )}
    </main>
  );
}

/** The URL has no token, or one that cannot be used. */
function InvalidLink({ hasToken, me }: { hasToken: boolean; me: Me | null }) {
  return (
    <>
      <PageHead title={hasToken ? 'Invalid invitation link' : 'Open the link again'} />
      {hasToken ? (
        <p role="alert">
          The link is wrong, expired, revoked or already used. Ask the person who sent it for a new one. If
          you used it yourself, you are already in the team.
        </p>
      ) : (
        <p>
          The part of the link after the # is missing. It contains the invitation and is removed from the
          address bar as soon as the page has read it. Open the complete link again.
        </p>
      )}
      <Link href="/">{me ? 'Go to the home page' : 'Sign in'}</Link>
    </>
  );
}

function SignOut({ text }: { text: string }) {
  const signOut = useAction({ run: useSignOut() });
  return (
    <div class="row">
      <p class="small soft">{text}</p>
      <Button small busy={signOut.isPending} onClick={() => signOut.mutate()}>
        Sign out
      </Button>
    </div>
  );
}
