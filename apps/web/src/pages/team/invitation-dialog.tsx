import type { CreatedInvitation, Role, TeamObject } from '@graft/client';
import { useState } from 'preact/hooks';
import { Select, TextField } from '../../components/forms/field.tsx';
import { FormDialog, useForm } from '../../components/forms/form.tsx';
import { Secret } from '../../components/forms/secret.tsx';
import { Time } from '../../components/time.tsx';
import { graft } from '../../data/graft.ts';
import { roleHint, roleOptions } from './roles.ts';

/** Form to create an invitation to the user's team or, for the operator, of an admin to `team`; then shows its link once. */
export function InvitationDialog({ team }: { team?: TeamObject }) {
  const [created, setCreated] = useState<CreatedInvitation | null>(null);
  const form = useForm({
    initial: { email: '', role: 'member' as Role, days: '7' },
    run: ({ email: text, role, days }) => {
      const email = text.trim() || null;
      return team
        ? graft.admin.teams.invite(team.id, { email, role: 'admin' })
        : graft.team.invitations.create({ email, role, expires_in: Number(days) * 86_400 });
    },
    invalidates: [['invitations'], ['audit']],
    staysOpen: true,
    onDone: setCreated,
  });
  if (created) {
    return (
      <Secret
        title="Invitation created"
        name="Invitation link"
        // In the fragment, which browsers do not send to servers.
        text={`${location.origin}/invitations/accept#${created.token}`}
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
    <FormDialog title={team ? 'Invite admin' : 'Invite member'} action="Create link" form={form}>
      <TextField
        label="Email"
        type="email"
        autofocus
        hint="Optional. Without an email, the first person who opens the link can join."
        {...form.field('email')}
      />
      {team ? (
        <p class="wrap-anywhere">To team {team.name}. The invitation is recorded in the team’s audit log.</p>
      ) : (
        <>
          <Select label="Role" options={roleOptions} hint={roleHint} {...form.field('role')} />
          <Select
            label="Expires in"
            options={{ 1: '1 day', 7: '7 days', 30: '30 days' }}
            {...form.field('days', 'expires_in')}
          />
        </>
      )}
    </FormDialog>
  );
}
