import type { Invitation, Role } from '@graft/client';
import { useState } from 'preact/hooks';
import { Badge } from '../../components/badge.tsx';
import { Confirm } from '../../components/dialog.tsx';
import { Empty } from '../../components/empty.tsx';
import { Button } from '../../components/forms/button.tsx';
import { Select } from '../../components/forms/field.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Time } from '../../components/time.tsx';
import { useAction } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { usePermission } from '../../data/session.ts';
import { InvitationDialog } from './invitation-dialog.tsx';
import { roleHint, roleOptions } from './roles.ts';

const invalidates = [['invitations'], ['audit']];

/** Invitation links to the team. */
export function Invitations() {
  const canEdit = usePermission('team:write', 'admin');
  const invitations = usePages(['invitations'], () => graft.team.invitations.list({ limit: 50 }));
  const [isInviting, setIsInviting] = useState(false);
  const [revoking, setRevoking] = useState<Invitation | null>(null);
  const revoke = useAction({
    run: ({ id }: Invitation) => graft.team.invitations.revoke(id),
    invalidates,
    successMessage: () => 'Invitation revoked.',
    onDone: () => setRevoking(null),
  });
  return (
    <section class="panel">
      <div class="section-head">
        <h2>Invitations</h2>
        {canEdit && (
          <Button icon="add" onClick={() => setIsInviting(true)}>
            Invite member
          </Button>
        )}
      </div>
      <Listing
        pages={invitations}
        label="Invitations"
        minWidth="44rem"
        empty={
          <Empty title="No invitations">
            <p>An invitation is a link that works once. Send it to one person over a secure channel.</p>
          </Empty>
        }
        columns={[
          {
            head: 'Email',
            isRowHeader: true,
            cell: ({ email }) => (
              <span class="cut" title={email ?? 'Anyone with the link'}>
                {email ?? 'Anyone with the link'}
              </span>
            ),
          },
          { head: 'Role', width: '7rem', cell: ({ role }) => role },
          { head: 'Created', width: '8rem', cell: (row) => <Time at={row.created_at} /> },
          { head: 'Status', width: '12rem', cell: (row) => <InvitationStatus invitation={row} /> },
          {
            head: <span class="visually-hidden">Actions</span>,
            width: '7rem',
            end: true,
            cell: (row) =>
              canEdit &&
              isOpen(row) && (
                <Button small kind="quiet" onClick={() => setRevoking(row)}>
                  Revoke
                </Button>
              ),
          },
        ]}
      />
      {isInviting && <Invite onClose={() => setIsInviting(false)} />}
      {revoking && (
        <Confirm
          title="Revoke invitation?"
          action="Revoke invitation"
          busy={revoke.isPending}
          onConfirm={() => revoke.mutate(revoking)}
          onClose={() => setRevoking(null)}
        >
          <p>The link stops working immediately. You can create a new one.</p>
        </Confirm>
      )}
    </section>
  );
}

const isOpen = (row: Invitation) =>
  row.accepted_at === null && row.revoked_at === null && row.expires_at > Date.now() / 1000;

function InvitationStatus({ invitation }: { invitation: Invitation }) {
  if (invitation.accepted_at !== null) return <Badge tone="good">accepted</Badge>;
  if (invitation.revoked_at !== null) return <Badge>revoked</Badge>;
  if (!isOpen(invitation)) return <Badge>expired</Badge>;
  return (
    <>
      <Badge tone="wait">expires</Badge> <Time at={invitation.expires_at} />
    </>
  );
}

function Invite({ onClose }: { onClose: () => void }) {
  const [role, setRole] = useState<Role>('member');
  const [days, setDays] = useState('7');
  return (
    <InvitationDialog
      title="Invite member"
      extra={{ role, expires_in: Number(days) * 86_400 }}
      run={(form) => graft.team.invitations.create(form)}
      invalidates={invalidates}
      onClose={onClose}
    >
      <Select
        label="Role"
        value={role}
        onValue={(value) => setRole(value as Role)}
        options={roleOptions}
        hint={roleHint}
      />
      <Select
        label="Expires in"
        value={days}
        onValue={setDays}
        options={[
          ['1', '1 day'],
          ['7', '7 days'],
          ['30', '30 days'],
        ]}
      />
    </InvitationDialog>
  );
}
