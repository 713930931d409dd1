import { type AcceptedInvitation, GraftApiError, type Me } from '@graft/client';
import { useEffect, useState } from 'preact/hooks';
import { Link } from 'wouter-preact';
import '../../styles/pages/sign-in.css';
import { Brand } from '../../components/brand.tsx';
import { Button } from '../../components/forms/button.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { toastError } from '../../components/toast.tsx';
import { useAction } from '../../data/action.ts';
import { useEndSession, useSession } from '../../data/session.ts';
import { AsPerson } from './as-person.tsx';
import { JoinForm } from './join-form.tsx';
import { Joined } from './joined.tsx';
import { keepForTrip, takeToken } from './token.ts';

/** Behind the link of an invitation: for people who are signed in, and for those who have nothing of Graft yet. */
export function Invitation() {
  const [token, setToken] = useState(takeToken);
  useEffect(() => {
    // Another link in the same tab changes what is behind the # alone.
    const onHash = () => setToken((before) => takeToken() ?? before);
    addEventListener('hashchange', onHash);
    return () => removeEventListener('hashchange', onHash);
  }, []);
  return <Opened key={token} token={token} />;
}

function Opened({ token }: { token: string | null }) {
  const [joined, setJoined] = useState<AcceptedInvitation | null>(null);
  const [isUseless, setIsUseless] = useState(false);
  const { options, me } = useSession().data!;
  const onError = (error: unknown) => {
    if (error instanceof GraftApiError && error.code === 'invalid_invitation') setIsUseless(true);
  };
  return (
    <main class="alone">
      <Brand />
      {joined ? (
        <Joined as={joined} />
      ) : token === null || isUseless ? (
        <Useless isWhole={token !== null} me={me} />
      ) : me?.session?.method === 'oidc' ? (
        <AsPerson token={token} me={me} onError={onError}>
          <SignOut text="You can join as somebody else: sign out, and open the link again." />
        </AsPerson>
      ) : (
        <>
          <PageHead title="Join a team">
            <p>You were invited to a team that trains language models with Graft.</p>
          </PageHead>
          {me && !options.provider && (
            <section class="alone-note">
              <p>
                This browser is signed in by a key{me.team && ` of the team ${me.team.name}`}
                {me.person && `, of ${me.person.email}`}. A key cannot accept an invitation: join below, as a
                person, and the new key takes its place here.
              </p>
              <SignOut text="Or sign out first." />
            </section>
          )}
          {options.provider ? (
            <a
              class="button"
              data-kind="main"
              href="/v1/sign-in?return_to=/invitations/accept"
              onClick={() => keepForTrip(token)}
            >
              Continue with your organisation
            </a>
          ) : (
            <JoinForm token={token} onJoined={setJoined} onError={onError} />
          )}
        </>
      )}
    </main>
  );
}

/** Nothing can be done with what the address held. */
function Useless({ isWhole, me }: { isWhole: boolean; me: Me | null }) {
  return (
    <>
      <PageHead title={isWhole ? 'This link does not work' : 'Open the link again'} />
      {isWhole ? (
        <p role="alert">
          It is wrong, was used or revoked, or is too old: a link works once, and only for so long. Ask
          whoever gave it to you for another one. If it was you who used it, you are in the team already.
        </p>
      ) : (
        <p>
          This address is of an invitation, and the part behind the # is missing, which is the invitation
          itself. It is taken out of the address as soon as it is read, so that nobody finds it there later:
          open the whole link once more, as you were given it.
        </p>
      )}
      <Link href="/">{me ? 'Go to the first page' : 'Sign in'}</Link>
    </>
  );
}

function SignOut({ text }: { text: string }) {
  const signOut = useAction({ run: useEndSession(), touches: [], quiet: true });
  return (
    <div class="row">
      <p class="small soft">{text}</p>
      <Button
        small
        busy={signOut.isPending}
        onClick={() => signOut.mutate(undefined, { onError: toastError })}
      >
        Sign out
      </Button>
    </div>
  );
}
