import type { CreatedInvitation } from '@graft/client';
import type { QueryKey } from '@tanstack/preact-query';
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { TextField } from '../../components/forms/field.tsx';
import { FormDialog } from '../../components/forms/form.tsx';
import { Secret } from '../../components/forms/secret.tsx';
import { Time } from '../../components/time.tsx';
import { fieldError, otherError, useAction } from '../../data/action.ts';
import { invitationLink } from '../../router/invitation-link.ts';

/** Form to create an invitation; then shows its link once. */
export function InvitationDialog<Extra extends object>({
  title,
  extra,
  run,
  invalidates,
  children,
  onClose,
}: {
  title: string;
  /** Values of the fields in `children`. */
  extra: Extra;
  run: (form: { email: string | null } & Extra) => Promise<CreatedInvitation>;
  invalidates: readonly QueryKey[];
  children: ComponentChildren;
  onClose: () => void;
}) {
  const [email, setEmail] = useState('');
  const [created, setCreated] = useState<CreatedInvitation | null>(null);
  const invite = useAction({ run, invalidates, quiet: true, onDone: setCreated });
  if (created) {
    return (
      <Secret
        title="Invitation created"
        name="Invitation link"
        text={invitationLink(created.token)}
        onClose={onClose}
      >
        <p>
          Send it to one person over a secure channel. The first person who opens it, in a browser or with{' '}
          <code>graft join LINK</code>, joins the team as {created.role}. It expires{' '}
          <Time at={created.expires_at} form="clock" />.
        </p>
      </Secret>
    );
  }
  return (
    <FormDialog
      title={title}
      action="Create link"
      busy={invite.isPending}
      error={otherError(invite.error, ['email'])}
      onSubmit={() => invite.mutate({ email: email.trim() || null, ...extra })}
      onClose={onClose}
    >
      <TextField
        label="Email"
        type="email"
        autofocus
        value={email}
        onValue={setEmail}
        error={fieldError(invite.error, 'email')}
        hint="Optional. Without an email, the first person who opens the link can join."
      />
      {children}
    </FormDialog>
  );
}
