import type { AcceptedInvitation } from '@graft/client';
import { useLocation } from 'wouter-preact';
import { CodeBlock } from '../../components/code-block.tsx';
import { Button } from '../../components/forms/button.tsx';
import { PageHead } from '../../components/page-head.tsx';
import { toastError } from '../../components/toast.tsx';
import { useAction } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';
import { useNewSession } from '../../data/session.ts';

/** What the new member gets. The key is in this page alone, and gone with it. */
export function Joined({ as: { team, role, person, key } }: { as: AcceptedInvitation }) {
  const [, navigate] = useLocation();
  const toNewSession = useNewSession();
  const begin = useAction({
    run: async () => {
      await graft.sessions.begin(key);
      await toNewSession();
    },
    touches: [],
    quiet: true,
    onDone: () => navigate('/jobs', { replace: true }),
  });
  return (
    <section class="stack">
      <PageHead title="This is your key">
        <p>
          You are {role} of the team <strong>{team.name}</strong>, as {person.email}.
        </p>
      </PageHead>
      <p>
        <strong>It is shown this once.</strong> Keep it like a password: you sign in by it, in this browser
        and in others, and programs and the <code>graft</code> command send it (<code>graft login</code>).
      </p>
      <CodeBlock label="Your key" text={key} />
      <Button
        kind="main"
        busy={begin.isPending}
        onClick={() => begin.mutate(undefined, { onError: toastError })}
      >
        Go to the team
      </Button>
    </section>
  );
}
