import type { Me } from '@graft/client';
import type { ComponentChildren } from 'preact';
import { Link, useLocation } from 'wouter-preact';
import { Button } from '../../components/forms/button.tsx';
import { useAction } from '../../components/forms/form.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { Problem } from '../../components/problem.tsx';
import { toast } from '../../components/toast.tsx';
import { graft } from '../../data/graft.ts';
import { useSessionReset } from '../../data/session.ts';
import { adviceFor } from './advice.ts';

/** Joins a team as the person signed in with the identity provider, who needs no key. */
export function JoinAsPerson({
  token,
  me,
  onError,
  children,
}: {
  token: string;
  me: Me;
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
          You are signed in as <strong>{name}</strong> ({email}) and were invited to a team.
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
