import { type AcceptedInvitation, GraftApiError, type InvitationPreview, type Me } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Link, useLocation } from 'wouter-preact';
import { Brand } from '../../components/brand.tsx';
import { CodeBlock } from '../../components/code-block.tsx';
import { Button } from '../../components/forms/button.tsx';
import { TextField } from '../../components/forms/field.tsx';
import { Form, useAction, useForm } from '../../components/forms/form.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { Problem } from '../../components/problem.tsx';
import { toast } from '../../components/toast.tsx';
import { graft } from '../../data/graft.ts';
import { useSession, useSessionReset, useSignOut } from '../../data/session.ts';

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
  const preview = useQuery({
    queryKey: ['invitation', token],
    queryFn: () => graft.invitations.preview(token!),
    enabled: token !== null && joined === null,
    retry: false,
    staleTime: Number.POSITIVE_INFINITY,
    // The cache must not keep the token.
    gcTime: 0,
  });
  const onError = (error: unknown) => {
    if (isInvalidInvitation(error)) setIsInvalid(true);
  };
  if (preview.isLoading) return null;
  return (
    <main class="standalone stack">
      <Brand />
      {joined ? (
        <Joined joined={joined} />
      ) : token === null || isInvalid || isInvalidInvitation(preview.error) ? (
        <InvalidLink hasToken={token !== null} me={me} />
      ) : me?.session?.method === 'oidc' ? (
        <JoinAsPerson token={token} me={me} preview={preview.data} onError={onError}>
          <SignOut text="To join as someone else, sign out and open the link again." />
        </JoinAsPerson>
      ) : (
        <>
          <PageHead title="Join a team">
            <p>
              <Invited preview={preview.data} /> The team fine-tunes language models with Graft.
            </p>
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

const isInvalidInvitation = (error: unknown): boolean =>
  error instanceof GraftApiError && error.code === 'invalid_invitation';

/** Who invites to which team; without a preview, because it could not be fetched, only that somebody does. */
function Invited({ preview }: { preview: InvitationPreview | undefined }) {
  if (!preview) return <>You were invited to a team.</>;
  const { team_name, role, invited_by } = preview;
  return (
    <>
      {invited_by === null ? 'You were invited' : `${invited_by} invited you`} to team{' '}
      <strong>{team_name}</strong> as {role}.
    </>
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

const storageKey = 'graft-invitation';

/** Milliseconds allowed for the sign-in at the identity provider; the same as the API's limit. */
const signInMs = 600_000;

/**
 * The token from the URL's fragment, or the one stored before the sign-in at the provider. It is removed from both, so that no browser
 * history contains it. Null: none.
 */
function takeToken(): string | null {
  const stored = sessionStorage.getItem(storageKey);
  sessionStorage.removeItem(storageKey);
  const token = location.hash.slice(1);
  if (token) {
    history.replaceState(history.state, '', location.pathname + location.search);
    return token;
  }
  const [storedToken = '', until = ''] = stored?.split(' ') ?? [];
  return storedToken && Date.now() < Number(until) ? storedToken : null;
}

/** Stores the token in this tab during the sign-in at the provider, so that no URL on the way contains it. */
const storeToken = (token: string) => sessionStorage.setItem(storageKey, `${token} ${Date.now() + signInMs}`);

/** Shows a new member's API key. It is not stored, and lost when the page is closed. */
function Joined({ joined: { team, role, person, key } }: { joined: AcceptedInvitation }) {
  const [, navigate] = useLocation();
  const resetSession = useSessionReset();
  const signIn = useAction({
    run: async () => {
      await graft.sessions.begin(key);
      await resetSession();
    },
    onDone: () => navigate('/jobs', { replace: true }),
  });
  return (
    <section class="stack">
      <PageHead title="Your API key">
        <p>
          You joined team <strong>{team.name}</strong> as {role} ({person.email}).
        </p>
      </PageHead>
      <p>
        <strong>Copy it now.</strong> You will not be able to see it again. Keep it like a password: use it to
        sign in to the dashboard, in programs, and with <code>graft login</code>.
      </p>
      <CodeBlock label="API key" text={key} />
      <Button kind="main" busy={signIn.isPending} onClick={() => signIn.mutate()}>
        Continue
      </Button>
    </section>
  );
}

/** Joins a team as a new member with a new API key. The link is enough. */
function JoinForm({
  token,
  onJoined,
  onError,
}: {
  token: string;
  onJoined: (joined: AcceptedInvitation) => void;
  onError: (error: unknown) => void;
}) {
  const { field, error, ...form } = useForm({
    initial: { email: '', name: '' },
    run: (values) => {
      const [email, name] = [values.email.trim(), values.name.trim()];
      return graft.invitations.accept({ token, ...(email && { email }), ...(name && { name }) });
    },
    onDone: onJoined,
    onError,
  });
  const email = field('email');
  const advice = email.error && adviceFor(error, 'link');
  return (
    <Form
      form={form}
      footer={
        <Button kind="main" type="submit" busy={form.isPending}>
          Join
        </Button>
      }
    >
      <TextField
        label="Your email"
        type="email"
        name="email"
        autocomplete="email"
        hint="Identifies you in the team. Must match the invited email, if there is one."
        {...email}
        error={advice ? `${email.error} ${advice}` : email.error}
      />
      <TextField
        label="Your name"
        name="name"
        autocomplete="name"
        hint="Display name. Defaults to the part of the email before the @."
        {...field('name')}
      />
    </Form>
  );
}

/** Joins a team as the person signed in with the identity provider, who needs no key. */
function JoinAsPerson({
  token,
  me,
  preview,
  onError,
  children,
}: {
  token: string;
  me: Me;
  preview: InvitationPreview | undefined;
  onError: (error: unknown) => void;
  children: ComponentChildren;
}) {
  const [, navigate] = useLocation();
  const resetSession = useSessionReset();
  const join = useAction({
    run: async () => {
      const joined = await graft.sessions.acceptInvitation(token);
      await resetSession();
      return joined;
    },
    quiet: true,
    onError,
    onDone: ({ team, role }) => {
      toast(`You joined team ${team.name} as ${role}.`);
      navigate('/jobs', { replace: true });
    },
  });
  const { error } = join;
  const { name, email } = me.person!;
  return (
    <>
      <PageHead title="Join a team">
        <p>
          <Invited preview={preview} /> You are signed in as <strong>{name}</strong> ({email}).
        </p>
      </PageHead>
      {error !== null && (
        <>
          <Problem error={error} />
          <p>{adviceFor(error, 'person')}</p>
        </>
      )}
      <Button kind="main" busy={join.isPending} onClick={() => join.mutate()}>{`Join as ${name}`}</Button>
      {children}
      <Link href="/">Go to the home page</Link>
    </>
  );
}

/** How a user joins a team: as a person signed in with the identity provider, or with only the link. */
type JoinMethod = 'person' | 'link';

const advice: Record<string, Record<JoinMethod, string>> = {
  wrong_invitation_email: {
    person: 'Sign in with the invited email, or ask for an invitation for your email.',
    link: 'Enter the email that was invited, or ask for an invitation for yours.',
  },
  already_member: {
    person: 'You are already a member. Select the team next to your name.',
    link: 'Sign in instead. If you lost your key, ask a team admin.',
  },
};

/** Advice for an error, in addition to the API's message. */
const adviceFor = (error: unknown, method: JoinMethod): string | undefined =>
  error instanceof GraftApiError ? advice[error.code ?? '']?.[method] : undefined;
