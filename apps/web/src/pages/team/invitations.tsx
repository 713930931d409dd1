import type { Invitation } from '@graft/client';
import { Badge } from '../../components/badge.tsx';
import { Cut } from '../../components/cut.tsx';
import { Confirm, DialogButton } from '../../components/forms/form.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Time } from '../../components/time.tsx';
import { graft } from '../../data/graft.ts';
import { usePages } from '../../data/pages.ts';
import { usePermission } from '../../data/session.ts';
import { InvitationDialog } from './invitation-dialog.tsx';

/** Invitation links to the team. */
export function Invitations() {
  const canEdit = usePermission('team:write', 'admin');
  return (
    <section class="panel">
      <div class="section-head">
        <h2>Invitations</h2>
        {canEdit && (
          <DialogButton icon="add" dialog={(close) => <InvitationDialog onClose={close} />}>
            Invite member
          </DialogButton>
        )}
      </div>
      <Listing
        pages={usePages(['invitations'], () => graft.team.invitations.list({ limit: 50 }))}
        label="Invitations"
        minWidth="44rem"
        emptyTitle="No invitations"
        emptyText="An invitation is a link that works once. Send it to one person over a secure channel."
        columns={[
          { head: 'Email', cell: ({ email }) => <Cut text={email ?? 'Anyone with the link'} /> },
          { head: 'Role', width: '7rem', cell: ({ role }) => role },
          { head: 'Created', width: '8rem', cell: (row) => <Time at={row.created_at} /> },
          { head: 'Status', width: '12rem', cell: (row) => <InvitationStatus invitation={row} /> },
          {
            width: '7rem',
            actions: (row) => [
              canEdit &&
                isOpen(row) && {
                  text: 'Revoke',
                  dialog: (close) => <Revoke id={row.id} onClose={close} />,
                },
            ],
          },
        ]}
      />
    </section>
  );
}

const Revoke = ({ id, onClose }: { id: string; onClose: () => void }) => (
  <Confirm
    title="Revoke invitation?"
    action="Revoke invitation"
    run={() => graft.team.invitations.revoke(id)}
    invalidates={[['invitations'], ['audit']]}
    successMessage={() => 'Invitation revoked.'}
    onClose={onClose}
  >
    <p>The link stops working immediately. You can create a new one.</p>
  </Confirm>
);

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
