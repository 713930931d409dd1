import type { AcceptedInvitation } from '@graft/client';
import { useLocation } from 'wouter-preact';
import { CodeBlock } from '../../components/code-block.tsx';
import { Button } from '../../components/forms/button.tsx';
import { useAction } from '../../components/forms/form.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { graft } from '../../data/graft.ts';
import { useSessionReset } from '../../data/session.ts';

/** Shows a new member's API key. It is not stored, and lost when the page is closed. */
export function Joined({ joined: { team, role, person, key } }: { joined: AcceptedInvitation }) {
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
