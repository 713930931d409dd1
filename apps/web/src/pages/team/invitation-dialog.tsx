import type { CreatedInvitation } from '@graft/client';
import type { QueryKey } from '@tanstack/preact-query';
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { TextField } from '../../components/forms/field.tsx';
import { FormDialog } from '../../components/forms/form.tsx';
import { Secret } from '../../components/forms/secret.tsx';
import { Time } from '../../components/time.tsx';
import { faultOf, restOf, useAction } from '../../data/action.ts';
import { invitationLink } from '../../router/invitation-link.ts';

/** Asks whom an invitation is for, makes it, and shows its link once. */
export function InvitationDialog<More extends object>({
  title,
  more,
  run,
  touches,
  children,
  onClose,
}: {
  title: string;
  /** What else is asked for, by the fields in `children`. */
  more: More;
  run: (form: { email: string | null } & More) => Promise<CreatedInvitation>;
  touches: readonly QueryKey[];
  children: ComponentChildren;
  onClose: () => void;
}) {
  const [email, setEmail] = useState('');
  const [made, setMade] = useState<CreatedInvitation | null>(null);
  const invite = useAction({ run, touches, quiet: true, onDone: setMade });
  if (made) {
    return (
      <Secret
        title="The invitation"
        name="The link of the invitation"
        text={invitationLink(made.token)}
        onClose={onClose}
      >
        <p>
          Give it to one person, over a safe channel: whoever uses it first, in a browser or with{' '}
          <code>graft join LINK</code>, becomes {made.role} of the team. It works until{' '}
          <Time at={made.expires_at} form="clock" />.
        </p>
      </Secret>
    );
  }
  return (
    <FormDialog
      title={title}
      action="Make the link"
      busy={invite.isPending}
      error={restOf(invite.error, ['email'])}
      onSubmit={() => invite.mutate({ email: email.trim() || null, ...more })}
      onClose={onClose}
    >
      <TextField
        label="Email"
        type="email"
        autofocus
        value={email}
        onValue={setEmail}
        error={faultOf(invite.error, 'email')}
        hint="Without one the link is for whoever uses it first."
      />
      {children}
    </FormDialog>
  );
}
